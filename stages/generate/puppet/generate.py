"""The puppet backend: photo, its fitted body and a motion in; a video out. Frames are drawn and written one by one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from stages.artifacts.motion import Motion
from stages.artifacts.provenance import Provenance, config_dict, sha256_file
from stages.body.camera import resize_intrinsics
from stages.body.model import Body, motion_template
from stages.body.same_body import require_same_body
from stages.errors import InputError
from stages.generate.puppet.anchor import anchor, what_is_shown
from stages.generate.puppet.build import build_puppet
from stages.generate.puppet.config import PuppetConfig
from stages.generate.puppet.framing import take_driving_camera
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
    """Write the person of `photo` moving as `target` (the retargeted motion) to `out`, an H.264 mp4.

    One frame a row of `target`, at its own time. The file's comment holds the provenance, with `synthetic: true`.
    Raises InputError for a photo that is no picture, a reference with more than one row, or motions on another body.
    """
    from stages.video.sink import VideoSink
    from stages.video.source import read_photo

    check(reference, target, body)
    rgb = read_photo(photo)
    puppet = build_puppet(
        rgb, reference, body, detect_face(photo), config, progress, moving_layers(reference, target, body)
    )
    leave_out_guesses(puppet, reference, target)
    if config.framing == "drive":
        puppet = take_driving_camera(puppet, reference, target, config.size, config.supersample)
    height, width = puppet.backdrop.alpha.shape
    record = provenance(photo, reference, target, body, config)
    sink = VideoSink(
        out, width, height, target.fps, lossless=config.lossless, metadata={"comment": record}, audio_from=audio_from,
        duration_seconds=target.duration_seconds or None, watermark=config.watermark,
    )  # fmt: skip
    with sink:
        for row, frame in enumerate(render_frames(puppet, reference, target, config)):
            sink.write(frame, float(target.pts_seconds[row]))
            progress("drawing frames", row + 1, len(target))


def check(reference: Motion, target: Motion, body: Body) -> None:
    """Refuse what cannot belong together."""
    if len(reference) != 1:
        raise InputError(f"the reference motion has {len(reference)} rows, expected a photo's one; track the photo")
    for name, motion in (("reference motion", reference), ("target motion", target)):
        require_same_body(name, motion, body)


def render_frames(
    puppet: Puppet, reference: Motion, target: Motion, config: PuppetConfig
) -> Iterator[UInt8[np.ndarray, "height width 3"]]:
    """Frames of the result, drawn as they are asked for. With `drive` the puppet has taken the target's camera."""
    anchored = target
    if config.framing == "ref":
        anchored = anchor(
            target, reference, puppet.rig.body, config.smoothing_frames, config.expression_smoothing_frames,
            config.pitch_bias_degrees,
        )  # fmt: skip
    width, height = puppet.size
    K = resize_intrinsics(anchored.K, width / anchored.image_size[0], height / anchored.image_size[1]).astype(
        np.float32
    )
    for row in range(len(anchored)):
        yield draw_frame(puppet, anchored.poses[row], anchored.trans[row], anchored.expression[row], K[row])


def moving_layers(reference: Motion, target: Motion, body: Body) -> frozenset[str]:
    """Arms and hands that leave their place in the photo."""
    shown = what_is_shown(target, body, body.J_regressor @ motion_template(body, reference))
    return frozenset(f"{side}_{part}" for side, moves in shown.arms.items() if moves for part in ("arm", "hand"))


def leave_out_guesses(puppet: Puppet, reference: Motion, target: Motion) -> None:
    """Draw no part that is a mere guess: hands that neither the photo nor the motion ever showed, and what the fit
    puts beside the person in the photo, of limbs that the motion does not move.
    """
    for name in list(puppet.hands):
        if not reference.valid_part(name)[0] and target.valid_part(name).mean() < 0.1:
            del puppet.hands[name]
    shown = what_is_shown(target, puppet.rig.body, puppet.rig.rest_joints)
    still = [f"{side}_arm" for side, moves in shown.arms.items() if not moves]
    still += [f"{side}_{part}" for side, moves in shown.legs.items() if not moves for part in ("leg", "foot")]
    dropped = puppet.refuted & puppet.rig.body.part_vertices(*still)
    puppet.underlay = puppet.underlay[~dropped[puppet.underlay].any(1)]


def detect_face(photo: Path) -> Float[np.ndarray, "478 2"] | None:
    """The photo's 478 face landmarks in its pixels, or None where no face is found."""
    from stages.detect.config import DetectConfig
    from stages.detect.holistic import detect

    observations = detect(photo, DetectConfig())
    return observations.face[0, :, :2] if observations.found[0, 1] else None


def provenance(photo: Path, reference: Motion, target: Motion, body: Body, config: PuppetConfig) -> str:
    """The record that travels in the video: what made it, from what, and that it is synthetic."""
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
