"""`make demo`: the whole pipeline on one photo, using only files that the installed packages contain.

Without arguments it uses scikit-image's astronaut photo, and a driving clip of a synthetic person who turns, nods,
talks and blinks. The clip is tracked and retargeted, and the result is generated and evaluated. With `--ref` and
`--drive` it uses your own photo and video. Every step is an `emosh` command that is printed before it runs, so you can
repeat it.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.body.model import Body

PERSON_NUMBER = 10
"""Number of the synthetic person in the driving clip (it seeds their look)."""
ZOOM = 1.45
"""The person is this much larger than in the photo: hands that cross the edge of the picture are drawn badly."""


def main() -> int:
    """Run the demo and print the files it made."""
    parser = argparse.ArgumentParser(prog="make demo", description="The whole pipeline on one photo.")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--ref", type=Path, help="a photo of a person (default: scikit-image's astronaut)")
    parser.add_argument("--drive", type=Path, help="a video of a person moving (default: a synthetic person)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    ref = options.ref or _astronaut(options.out / "photo.png")
    drive = options.drive or _driving_clip(ref, options.out)
    return _run_pipeline(ref, drive, options.out)


def _run_pipeline(ref: Path, drive: Path, out: Path) -> int:
    from stages.video.contact_sheet import write_animation, write_contact_sheet

    names = ("result.mp4", "overlay.mp4", "report.json", "sheet.png", "animation.webp")
    result, overlay, report, sheet, animation = (out / name for name in names)
    _emosh("animate", "--ref", ref, "--drive", drive, "-o", result)
    work = out / "result.emosh"
    _emosh("track", drive, "-o", out / "drive.npz", "--overlay", overlay)
    _emosh("evaluate", result, "--ref", ref, "--motion", work / "target.npz", "-o", report)
    columns = [
        ("photo", ref),
        ("driving", drive),
        ("overlay", overlay),
        ("condition", work / "cond.mp4"),
        ("result", result),
    ]
    write_contact_sheet(sheet, columns)
    write_animation(animation, [column for column in columns if column[0] != "overlay"])
    print("\nmade:")
    for path, what in (
        (result, "the person in the photo, moving as in the driving clip"),
        (overlay, "the fitted body drawn over the driving clip"),
        (work / "cond.mp4", "the condition map that the diffusion model reads"),
        (report, "how close the result is, per frame and mean"),
        (animation, "photo, driving clip, condition map and result, moving side by side"),
        (sheet, "everything on one sheet: look at this first"),
    ):
        print(f"  {path}  {what}")
    return 0


def _astronaut(path: Path) -> Path:
    from skimage.data import astronaut

    from stages.video.png import write_png

    write_png(path, astronaut())
    return path


def _driving_clip(ref: Path, out: Path) -> Path:
    """Draw a synthetic person in the pose of the photo, nearer to the camera, who turns, nods, talks and blinks."""
    from dataclasses import replace

    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body
    from stages.people.clips import make_person, write_person
    from stages.people.config import PeopleConfig
    from stages.retarget.retarget import retarget
    from stages.retarget.scripted import scripted_motion

    reference = out / "photo.npz"
    _emosh("track", ref, "-o", reference)
    body, config = open_body("open"), PeopleConfig(background=("gradient",))
    person = make_person(body, PERSON_NUMBER, config)
    motion, _ = retarget(scripted_motion(load_motion(reference), body), person.motion, body)
    print(f"\ndrawing synthetic person {PERSON_NUMBER}, who turns, nods, talks and blinks", flush=True)
    return write_person(body, replace(person, motion=_zoomed_in(motion, body)), config, out).video


def _zoomed_in(motion: Motion, body: Body) -> Motion:
    """The motion with a longer focal length, centred on the head of frame 0: arms and hands are outside the picture."""
    from dataclasses import replace

    import numpy as np

    from stages.artifacts.motion import select_rows
    from stages.body.camera import project
    from stages.body.model import pose_motion
    from stages.body.smplx_layout import joint

    head = pose_motion(body, select_rows(motion, slice(1))).joints[:, [joint("head")]]
    x, y, _ = project(head, motion.K[:1])[0, 0]
    width, height = motion.image_size
    zoom = np.array([[ZOOM, 0, width / 2 - ZOOM * x], [0, ZOOM, 0.45 * height - ZOOM * y], [0, 0, 1]])
    return replace(motion, K=(zoom @ motion.K).astype(np.float32))


def _emosh(*arguments: object) -> None:
    words = [str(argument) for argument in arguments]
    print(f"\n$ emosh {shlex.join(words)}", flush=True)
    finished = subprocess.run([sys.executable, "-m", "emosh_cli", *words], check=False)
    if finished.returncode:
        sys.exit(finished.returncode)


if __name__ == "__main__":
    sys.exit(main())
