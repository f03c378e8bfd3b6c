"""`emosh view`: records a motion for the rerun viewer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emosh_cli import options, pipes
from emosh_cli.command import FILES, command
from emosh_cli.outputs import RECORDING, output_path, require_file
from emosh_cli.run import Run
from stages.counted import counted

Video = Annotated[
    Path | None,
    typer.Option("--video", metavar="VIDEO", help="The video that was tracked. It is shown behind the keypoints.",
                 show_default=False),
]  # fmt: skip


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "view", FILES)
    def view(
        run: Run,
        motion: options.MotionArgument,
        video: Video = None,
        out: options.Out = None,
        body: options.Body = "open",
    ) -> None:
        """Record a motion for the rerun viewer: body, keypoints, camera, video and errors on one timeline.

        Open it with rerun, which comes with pip install "emosh\\[view]": rerun drive.rrd

        Example: emosh view drive.npz --video drive.mp4 -o drive.rrd
        """
        _view(run, motion, video, out, body)


def _view(run: Run, motion: Path, video: Path | None, out: Path | None, body: str) -> None:
    from stages.export.recording import rerun_package, write_recording

    require_file(motion, "a motion .npz")
    given = [motion] if video is None else [motion, require_file(video, "the video that was tracked")]
    rerun_package()
    target = output_path(out, RECORDING, given, run.force, beside=motion)
    if run.dry_run:
        run.show_plan([f"record {motion} -> {target}"], output=str(target))
        return
    from stages.artifacts.motion import load_motion
    from stages.body.store import open_body

    with pipes.readable(motion) as readable:
        loaded = load_motion(readable)
    write_recording(target, loaded, open_body(body, progress=run.console.progress), video, run.console.progress)
    size = target.stat().st_size / 2**20
    run.done(
        target, f"{counted(len(loaded), 'frame')}, {size:.0f} MiB; open it with: rerun {target}", frames=len(loaded)
    )
