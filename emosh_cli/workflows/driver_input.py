"""What Wan-Animate reads of the driver beside the skeleton: the face, and the background of a replaced person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.console import Console
from stages.drawing.names import MESH, SKELETON
from stages.encode.config import BODY, DRIVER
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.provenance import Provenance
    from stages.body.model import Body
    from stages.encode.background import Background
    from stages.encode.config import EncodeConfig
    from stages.encode.faces import Faces


@dataclass(frozen=True)
class FaceInput:
    """The files that pictures of the face are made of.

    With a `video` the face is the driver's, and `motion` is the driver's own; without one it is drawn from `motion`.
    """

    motion: Path
    video: Path | None = None

    def files(self) -> dict[str, Path]:
        """The files, by their role in provenance."""
        return {"face_motion": self.motion} | ({} if self.video is None else {"face_video": self.video})

    def faces(self, body: Body) -> Faces:
        """The pictures, for `stages.encode.encode`. Raises InputError where no frame shows a face."""
        from stages.artifacts.motion import load_motion
        from stages.encode.faces import body_faces, driver_faces

        motion = load_motion(self.motion)
        return body_faces(motion, body) if self.video is None else driver_faces(self.video, motion, body)


@dataclass(frozen=True)
class BackgroundInput:
    """The driving video whose person is replaced, its own motion, and the retargeted one if it is at hand."""

    video: Path
    motion: Path
    target: Path | None = None

    def files(self) -> dict[str, Path]:
        """The files, by their role in provenance."""
        roles = {"background_video": self.video, "background_motion": self.motion}
        return roles | ({} if self.target is None else {"background_target": self.target})

    def background(self, body: Body) -> Background:
        """The pictures without the person, for `stages.encode.encode`."""
        from stages.artifacts.motion import load_motion
        from stages.encode.background import driver_background

        target = None if self.target is None else load_motion(self.target)
        return driver_background(self.video, load_motion(self.motion), body, target)


@dataclass(frozen=True)
class Beside:
    """What is encoded beside photo and condition map. `body` opens the body file."""

    face: FaceInput | None
    background: BackgroundInput | None
    body: Callable[[], Body]

    def files(self) -> dict[str, Path]:
        """The files, by their role in provenance."""
        face = {} if self.face is None else self.face.files()
        return face | ({} if self.background is None else self.background.files())

    def pictures(self) -> dict[str, Any]:
        """The arguments of `stages.encode.encode`."""
        return {
            "faces": None if self.face is None else self.face.faces(self.body()),
            "background": None if self.background is None else self.background.background(self.body()),
        }


def check_replace(retargeted: bool, video: Path | None, missing: str) -> None:
    """Raise InputError where the person in the video cannot be replaced: `missing` says why there is no video."""
    if retargeted:
        missing = "the motion is retargeted, and only the driver's own tells where the person is in the video"
    if retargeted or video is None:
        raise InputError(f"--replace needs the driving video: {missing}; use emosh animate --drive VIDEO --replace")


def choose_face(asked: str, retargeted: bool, video: Path | None, missing: str, console: Console) -> str:
    """DRIVER or BODY, with a note. `retargeted`: the driver's own motion is not at hand.

    `missing` says why there is no video. Raises InputError for a driver's face that cannot be cut out.
    """
    if retargeted:
        missing = "the motion is retargeted, and only the driver's own tells where its face is"
    if asked != BODY and not retargeted and video is not None:
        console.note(f"face: cut out of {video}")
        return DRIVER
    if asked == DRIVER:
        raise InputError(f"--face driver is not possible: {missing}; use --face body")
    console.note(f"face: drawn from the fitted body{'' if asked == BODY else f', because {missing}'}")
    return BODY


def beside_map(
    record: Provenance,
    cond: Path,
    config: EncodeConfig,
    console: Console,
    body: Callable[[], Body],
    *,
    motion: Path | None,
    video: Path | None,
    target: Path | None,
) -> Beside:
    """What is encoded beside a condition map whose record is given, from files that the user named.

    Raises InputError for a skeleton without a motion, for a replacement without a video, and for files that the map
    does not need.
    """
    from stages.artifacts.motion import load_motion

    if record.notes.get("drawing", MESH) != SKELETON:
        if config.replace or any(each is not None for each in (motion, video, target)):
            raise InputError(
                f"{cond} does not show the skeleton, which alone has a face and can replace a person; leave --motion, "
                "--video, --target and --replace out"
            )
        return Beside(None, None, body)
    if motion is None:
        raise InputError(f"{cond} shows the skeleton, which needs the face beside it: give --motion NPZ (and --video)")
    retargeted = load_motion(motion).provenance.stage == "retarget"
    if retargeted and video is not None:
        raise InputError(f"{motion} is retargeted; with --video give the driver's own motion")
    background = None
    if config.replace:
        if video is None:
            raise InputError("--replace needs the driving video: --video VIDEO, and its own motion: --motion NPZ")
        background = BackgroundInput(video, motion, target)
    elif target is not None:
        raise InputError("--target is for --replace, whose mask makes room for its body; leave it out")
    kind = choose_face(config.face, retargeted, video, "no --video was given", console)
    return Beside(FaceInput(motion, video if kind == DRIVER else None), background, body)
