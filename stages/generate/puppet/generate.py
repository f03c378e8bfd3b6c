"""The puppet backend: makes a video from a photo, its fitted body and a motion. Frames are written one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.motion_shots import split_shots
from stages.artifacts.provenance import Provenance, config_dict, sha256_file
from stages.body.camera import resize_intrinsics
from stages.body.model import Body, motion_template
from stages.body.same_body import require_same_body
from stages.drawing.framing import VisibleParts, anchor_motion, find_visible_parts
from stages.errors import InputError
from stages.generate.puppet.build import build_puppet
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.framing import use_driving_camera
from stages.generate.puppet.render import Puppet, draw_frame
from stages.progress import Progress, silent

__all__ = ["PuppetConfig", "generate", "render_frames"]


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
) -> None:
    """Write a video of the person in `photo` moving as `target` (the retargeted motion) to `out`, an H.264 mp4.

    One frame per row of `target`, at its own time. The comment tag holds the provenance, with `synthetic: true`. Raises
    InputError for a file that is not a photo, a reference with several rows, or motions on another body.
    """
    from stages.video.sink import VideoSink
    from stages.video.source import read_photo

    check_inputs(reference, target, body)
    rgb = read_photo(photo)
    puppet = build_puppet(
        rgb, reference, body, detect_face(photo), config, progress, moving_layers(reference, target, body)
    )
    remove_guessed_parts(puppet, reference, target)
    if config.framing == "drive":
        puppet = use_driving_camera(puppet, reference, target, config.size, config.supersample)
    height, width = puppet.backdrop.alpha.shape
    record = provenance_json(photo, reference, target, body, config)
    sink = VideoSink(
        out, width, height, target.fps, lossless=config.lossless, metadata={"comment": record}, audio_from=audio_from,
        duration_seconds=target.duration_seconds or None, watermark=config.watermark,
    )  # fmt: skip
    with sink:
        for row, frame in enumerate(render_frames(puppet, reference, target, config)):
            sink.write(frame, float(target.pts_seconds[row]))
            progress("drawing frames", row + 1, len(target))


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
    anchored = target
    if config.framing == "ref":
        anchored = anchor_motion(
            target, reference, puppet.rig.body, config.smoothing_frames, config.expression_smoothing_frames,
            config.lean_degrees, config.turn == "relative",
        )  # fmt: skip
    width, height = puppet.size
    K = resize_intrinsics(anchored.K, width / anchored.image_size[0], height / anchored.image_size[1]).astype(
        np.float32
    )
    for row in range(len(anchored)):
        yield draw_frame(puppet, anchored.poses[row], anchored.trans[row], anchored.expression[row], K[row])


def visible_in_shots(target: Motion, body: Body, rest_joints: Float[np.ndarray, "55 3"]) -> list[VisibleParts]:
    """What is visible in each shot of the target."""
    return [find_visible_parts(part, body, rest_joints) for part in split_shots(target)]


def moving_layers(reference: Motion, target: Motion, body: Body) -> frozenset[str]:
    """The layers of arms and hands that leave their place in the photo."""
    visible = visible_in_shots(target, body, body.J_regressor @ motion_template(body, reference))
    moved = {side for shot in visible for side, moves in shot.arms.items() if moves}
    return frozenset(f"{side}_{part}" for side in moved for part in ("arm", "hand"))


def remove_guessed_parts(puppet: Puppet, reference: Motion, target: Motion) -> None:
    """Remove parts of the puppet that are guesses of the fit.

    These are hands that are visible neither in the photo nor in the motion, and vertices outside the person in the
    photo on limbs that the motion does not move.
    """
    for name in list(puppet.hands):
        if not reference.valid_part(name)[0] and target.valid_part(name).mean() < 0.1:
            del puppet.hands[name]
    visible = visible_in_shots(target, puppet.rig.body, puppet.rig.rest_joints)
    still = []
    for side in ("left", "right"):
        still += [] if any(shot.arms[side] for shot in visible) else [f"{side}_arm"]
        still += [] if any(shot.legs[side] for shot in visible) else [f"{side}_leg", f"{side}_foot"]
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
