"""`emosh retarget`: gives a motion the body shape of the reference."""

from __future__ import annotations

from pathlib import Path

import typer

from emosh_cli import options, pipes
from emosh_cli.command import STAGES, command
from emosh_cli.outputs import MOTION, PIPE, output_path, require_file
from emosh_cli.run import Run


def register(app: typer.Typer) -> None:
    """Add the command."""

    @command(app, "retarget", STAGES)
    def retarget(
        run: Run,
        motion: options.MotionArgument,
        ref: options.RefMotion,
        out: options.Out = None,
        no_disentangle: options.NoDisentangle = False,
        no_contacts: options.NoContacts = False,
        body: options.Body = "open",
    ) -> None:
        """Give a motion the body shape of the reference, and report what that changed.

        Pose, expression and camera stay those of the driver. Body and head shape
        become those of the reference (paper eq. 3). Arms are turned where hands
        touch the body or each other, so that they still do.

        Example: emosh retarget drive.npz --ref photo.png -o target.npz
        """
        changes = {"disentangle": False if no_disentangle else None, "contacts": False if no_contacts else None}
        _retarget(run, motion, ref, out, changes, body)


def _retarget(run: Run, motion: Path, ref: Path, out: Path | None, changes: dict, body: str) -> None:
    require_file(motion, "a motion .npz")
    require_file(ref, "a photo, or its tracked motion")
    target = output_path(out, MOTION, [motion, ref], run.force, beside=motion, ending=f"-{ref.stem}")
    configs = run.load_configs(("retarget", "track"), {"retarget": changes})
    if run.dry_run:
        run.show_plan([f"retarget {motion} onto {ref} -> {target}"], output=str(target))
        return
    from emosh_cli.workflows.tracking import reference_motion
    from stages.artifacts.motion import load_motion, save_motion
    from stages.body.store import open_body
    from stages.retarget.retarget import retarget

    with pipes.readable(motion) as readable:
        driver = load_motion(readable)
    reference = reference_motion(run, ref, body, configs["track"])
    opened = open_body(body, progress=run.console.progress)
    result, report = retarget(driver, reference, opened, configs["retarget"], run.console.progress)
    pipes.write(target, lambda path: save_motion(path, result))
    run.done(None if target == PIPE else target, str(report), report=report.to_dict())
