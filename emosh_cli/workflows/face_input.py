"""The face that Wan-Animate reads beside the skeleton: which files its pictures are made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emosh_cli.console import Console
from stages.drawing.names import MESH, SKELETON
from stages.encode.config import BODY, DRIVER
from stages.errors import InputError

if TYPE_CHECKING:
    from stages.artifacts.provenance import Provenance
    from stages.body.model import Body
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


def face_of_map(
    record: Provenance, cond: Path, motion: Path | None, video: Path | None, asked: str, console: Console
) -> FaceInput | None:
    """The face beside a condition map whose record is given; None for a map that needs none.

    Raises InputError for a skeleton without a motion, and for a motion or video that the map does not need.
    """
    from stages.artifacts.motion import load_motion

    if record.notes.get("drawing", MESH) != SKELETON:
        if motion is not None or video is not None:
            raise InputError(
                f"{cond} does not show the skeleton, which alone has a face; leave --motion and --video out"
            )
        return None
    if motion is None:
        raise InputError(f"{cond} shows the skeleton, which needs the face beside it: give --motion NPZ (and --video)")
    retargeted = load_motion(motion).provenance.stage == "retarget"
    if retargeted and video is not None:
        raise InputError(f"{motion} is retargeted; with --video give the driver's own motion")
    kind = choose_face(asked, retargeted, video, "no --video was given", console)
    return FaceInput(motion, video if kind == DRIVER else None)
