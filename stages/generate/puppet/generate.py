"""The puppet backend: makes a video from a photo, its fitted body and a motion. Frames are written one by one."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance, config_dict, sha256_file
from stages.body.camera import resize_intrinsics
from stages.body.model import Body, motion_template
from stages.body.same_body import require_same_body
from stages.cores import usable_cores
from stages.drawing.framing import (
    VisibleParts,
    anchor_motion,
    find_driven_parts,
    find_visible_parts,
    walks_without_legs,
)
from stages.errors import InputError
from stages.generate.puppet.beside import beside_body
from stages.generate.puppet.build import build_puppet
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.framing import PictureCheck, check_picture, keep_in_picture, use_driving_camera
from stages.generate.puppet.near_arms import depth_share
from stages.generate.puppet.render import Puppet, draw_frame
from stages.progress import Progress, silent

__all__ = ["PuppetConfig", "generate", "render_frames"]

WORSE_FRAMING = 0.1
"""Share of the frames by which the face may be inside the photo's picture less often than inside the driver's."""
MOST_THREADS = 4
"""Threads that draw; each needs the memory of all layers of one picture."""


def generate(
    photo: Path,
    reference: Motion,
    target: Motion,
    body: Body,
    config: PuppetConfig,
    out: Path,
    *,
    audio_from: Path | None = None,
    progress: Progress = silent,
) -> PictureCheck:
    """Write a video of the person in `photo` moving as `target` (the retargeted motion) to `out`, an H.264 mp4.

    One frame per row of `target`, at its own time. The comment tag holds the provenance, with `synthetic: true`.
    Returns what of the person is inside the picture. Where the head would leave the photo's picture, the person is
    moved, and where that is not enough, the driver's camera is used, but not for a walking driver and a photo without
    legs. Raises InputError for a file that is not a photo,
    a reference with several rows, or motions on another body.
    """
    from stages.video.sink import VideoSink
    from stages.video.source import read_photo

    check_inputs(reference, target, body)
    rgb = read_photo(photo)
    puppet, motion, check = make_puppet(rgb, reference, target, body, detect_face(photo), config, progress)
    height, width = puppet.backdrop.alpha.shape
    record = provenance_json(photo, reference, target, body, config)
    sink = VideoSink(
        out, width, height, target.fps, lossless=config.lossless, metadata={"comment": record}, audio_from=audio_from,
        duration_seconds=target.duration_seconds or None, watermark=config.watermark,
    )  # fmt: skip
    with sink:
        for row, frame in enumerate(draw_frames(puppet, motion, usable_cores())):
            sink.write(frame, float(target.pts_seconds[row]))
            progress("drawing frames", row + 1, len(target))
    return check


def make_puppet(
    rgb: UInt8[np.ndarray, "height width 3"],
    reference: Motion,
    target: Motion,
    body: Body,
    landmarks: Float[np.ndarray, "478 2"] | None,
    config: PuppetConfig,
    progress: Progress = silent,
) -> tuple[Puppet, Motion, PictureCheck]:
    """The puppet of the photo `rgb`, the motion in the camera of the picture that is made, and the picture's check.

    Hands are as large as the target's: those of the photo if it shows one, else the driver's.
    """
    reference = replace(reference, hand_scale=target.hand_scale)
    moving = moving_layers(reference, target, body, config)
    puppet = build_puppet(rgb, reference, body, landmarks, config, progress, moving)
    covered = config.framing == "ref" and config.turn == "relative" and beside_body(rgb, reference, body).covers_legs
    remove_guessed_parts(puppet, reference, target, config, covered)
    drivers = check_picture(target, puppet.rig)
    if config.framing == "ref":
        motion, check = keep_in_picture(anchored(puppet, reference, target, config, covered), puppet.rig)
        stays = walks_without_legs(target, reference, body, config.turn == "relative", covered)
        if not moving:
            check = replace(check, hands_inside=None)
        elif not stays:
            check = replace(check, hands_inside_drive=drivers.hands_inside)
        puppet.depth_share = depth_share(puppet.rig, reference, target)
        if stays or check.face_inside > drivers.face_inside - WORSE_FRAMING:
            return puppet, motion, check
        puppet.depth_share = 1.0
        drivers = replace(drivers, driving_camera=True)
    longer = min(config.size, max(rgb.shape[:2]))
    return use_driving_camera(puppet, reference, target, longer, config.supersample), target, drivers


def anchored(
    puppet: Puppet, reference: Motion, target: Motion, config: PuppetConfig, legs_covered: bool = False
) -> Motion:
    """The target in the photo's camera and framing. legs_covered: whether wide clothes cover the photo's legs."""
    return anchor_motion(
        target, reference, puppet.rig.body, config.smoothing_frames, config.expression_smoothing_frames,
        config.lean_degrees, config.turn == "relative", legs_covered,
    )  # fmt: skip


def check_inputs(reference: Motion, target: Motion, body: Body) -> None:
    """Raises InputError for a reference with several rows, or motions on another body."""
    if len(reference) != 1:
        raise InputError(f"the reference motion has {len(reference)} rows, expected 1 as of a photo; track the photo")
    for name, motion in (("reference motion", reference), ("target motion", target)):
        require_same_body(name, motion, body)


def render_frames(
    puppet: Puppet, reference: Motion, target: Motion, config: PuppetConfig
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Yield the frames of the result. For framing `drive` the puppet must already use the target's camera."""
    yield from draw_frames(puppet, anchored(puppet, reference, target, config) if config.framing == "ref" else target)


def draw_frames(puppet: Puppet, motion: Motion, threads: int = 1) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Yield a frame per row of a motion in the camera of the picture.

    Each thread has its own buffers; memory does not grow with the clip. One thread uses those of `puppet`.
    """
    width, height = puppet.size
    K = resize_intrinsics(motion.K, width / motion.image_size[0], height / motion.image_size[1]).astype(np.float32)

    def drawn(with_buffers: Puppet, row: int) -> UInt8[np.ndarray, "height width 3"]:
        return draw_frame(with_buffers, motion.poses[row], motion.trans[row], motion.expression[row], K[row])

    if threads == 1 or len(motion) == 1:
        for row in range(len(motion)):
            yield drawn(puppet, row)
        return
    copies = [replace(puppet, buffers={}) for _ in range(min(threads, MOST_THREADS))]
    pools = [ThreadPoolExecutor(1) for _ in copies]
    try:
        waiting: deque[Future[np.ndarray]] = deque()
        for row in range(len(motion)):
            if len(waiting) == 2 * len(copies):
                yield waiting.popleft().result()
            place = row % len(copies)
            waiting.append(pools[place].submit(drawn, copies[place], row))
        while waiting:
            yield waiting.popleft().result()
    finally:
        for pool in pools:
            pool.shutdown(cancel_futures=True)


def moving_layers(reference: Motion, target: Motion, body: Body, config: PuppetConfig) -> frozenset[str]:
    """The layers of arms and hands that leave their place in the photo."""
    arms = driven_parts(reference, target, body, config).arms
    return frozenset(f"{side}_{part}" for side, moves in arms.items() if moves for part in ("arm", "hand"))


def driven_parts(
    reference: Motion, target: Motion, body: Body, config: PuppetConfig, legs_covered: bool = False
) -> VisibleParts:
    """The parts that the target moves in the framing of `config`."""
    if config.framing == "drive":
        return find_visible_parts(target, body, body.J_regressor @ motion_template(body, reference))
    return find_driven_parts(target, reference, body, config.turn == "relative", legs_covered)


def remove_guessed_parts(
    puppet: Puppet, reference: Motion, target: Motion, config: PuppetConfig, legs_covered: bool = False
) -> None:
    """Remove parts of the puppet that are guesses of the fit.

    These are hands that are visible neither in the photo nor in the motion, and vertices outside the person in the
    photo on limbs that the motion does not move. A folded arm that opens keeps its hand.
    """
    for name in list(puppet.hands):
        folded = name.replace("hand", "arm") in puppet.arms
        if not folded and not reference.valid_part(name)[0] and target.valid_part(name).mean() < 0.1:
            del puppet.hands[name]
    driven = driven_parts(reference, target, puppet.rig.body, config, legs_covered)
    still = [f"{side}_arm" for side, moves in driven.arms.items() if not moves]
    still += [f"{side}_{part}" for side, moves in driven.legs.items() if not moves for part in ("leg", "foot")]
    dropped = puppet.outside_matte & puppet.rig.body.part_vertices(*still)
    puppet.underlay = puppet.underlay[~dropped[puppet.underlay].any(1)]


def detect_face(photo: Path) -> Float[np.ndarray, "478 2"] | None:
    """The 478 face landmarks of the photo in its pixels, or None if no face is found."""
    from stages.detect.config import DetectConfig
    from stages.detect.holistic import detect

    observations = detect(photo, DetectConfig())
    return observations.face[0, :, :2] if observations.found[0, 1] else None


def provenance_json(photo: Path, reference: Motion, target: Motion, body: Body, config: PuppetConfig) -> str:
    """The provenance stored in the video: how and from what it was made, and that it is synthetic."""
    record = Provenance(
        stage="generate",
        config={"backend": "puppet", **config_dict(config)},
        inputs={
            "photo": sha256_file(photo),
            "reference": reference.provenance.fingerprint(),
            "motion": target.provenance.fingerprint(),
            "body": body.sha256,
        },
        notes={"backend": "puppet", "synthetic": True, "photo": Path(photo).name},
    )
    fields = json.loads(record.to_json())
    return json.dumps({"backend": "puppet", "synthetic": True, **fields}, sort_keys=True)
