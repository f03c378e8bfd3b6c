"""`make demo`: the whole chain on one photo, from nothing but what the installed packages carry.

Without arguments: scikit-image's astronaut photo, a scripted motion (turn, nod, talk, blink) drawn by the puppet into
a driving clip, then that clip tracked, retargeted, rendered, generated and evaluated self-driven as in the paper.
With `--ref` and `--drive`: the same on a photo and a video of one's own. Every step is an `emosh` command that is
printed before it runs, so it can be typed again.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path


def main() -> int:
    """Run the demo and say what it made and where."""
    parser = argparse.ArgumentParser(prog="make demo", description="The whole chain on one photo.")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.add_argument("--ref", type=Path, help="a photo of a person (default: scikit-image's astronaut)")
    parser.add_argument("--drive", type=Path, help="a video of a person moving (default: a scripted clip)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    ref = options.ref or _astronaut(options.out / "photo.png")
    drive = options.drive or _scripted_clip(ref, options.out)
    return _chain(ref, drive, options.out, self_driven=options.drive is None)


def _chain(ref: Path, drive: Path, out: Path, self_driven: bool) -> int:
    from stages.video.contact_sheet import write_contact_sheet

    result, overlay, report, sheet = (out / name for name in ("result.mp4", "overlay.mp4", "report.json", "sheet.png"))
    _emosh("animate", "--ref", ref, "--drive", drive, "-o", result)
    work = out / "result.emosh"
    _emosh("track", drive, "-o", out / "drive.npz", "--overlay", overlay)
    truth = ("--truth", drive) if self_driven else ()
    _emosh("evaluate", result, *truth, "--motion", work / "target.npz", "-o", report)
    columns = [
        ("photo", ref),
        ("driving", drive),
        ("overlay", overlay),
        ("condition", work / "cond.mp4"),
        ("result", result),
    ]
    write_contact_sheet(sheet, columns)
    print("\nmade:")
    for path, what in (
        (result, "the person in the photo, moving as in the driving clip"),
        (overlay, "the fitted body drawn over the driving clip"),
        (work / "cond.mp4", "the condition map the diffusion model reads"),
        (report, "how close the result is, per frame and mean"),
        (sheet, "all of it on one sheet: look at this first"),
    ):
        print(f"  {path}  {what}")
    return 0


def _astronaut(path: Path) -> Path:
    from skimage.data import astronaut

    from stages.video.png import write_png

    write_png(path, astronaut())
    return path


def _scripted_clip(ref: Path, out: Path) -> Path:
    from stages.artifacts.motion import load_motion, save_motion
    from stages.body.store import open_body
    from stages.retarget.scripted import scripted_motion

    reference, script, drive = out / "photo.npz", out / "script.npz", out / "drive.mp4"
    _emosh("track", ref, "-o", reference)
    save_motion(script, scripted_motion(load_motion(reference), open_body("open")))
    _emosh("generate", "--ref", ref, "--motion", script, "--backend", "puppet", "-o", drive)
    return drive


def _emosh(*arguments: object) -> None:
    words = [str(argument) for argument in arguments]
    print(f"\n$ emosh {shlex.join(words)}", flush=True)
    finished = subprocess.run([sys.executable, "-m", "emosh_cli", *words], check=False)
    if finished.returncode:
        sys.exit(finished.returncode)


if __name__ == "__main__":
    sys.exit(main())
