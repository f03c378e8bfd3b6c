"""From the latents of `emosh encode` to the video: the second half of the diffusion model's pipeline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emosh_cli.run import Run
from emosh_cli.workflows import diffusion_model
from emosh_cli.workflows.animation import ModelChoice, find_video
from emosh_cli.workflows.diffusion_model import DiffusionModel
from emosh_cli.workflows.pipeline import sound_of
from emosh_cli.workflows.work_folder import WorkFolder
from stages.artifacts.latents import Latents


@dataclass(frozen=True)
class LatentsToVideo:
    """Checked latents and the model that draws them. `configs` maps wan and wan_run to frozen configs."""

    run: Run
    latents: Path
    audio_from: Path | None
    out: Path
    model: DiffusionModel
    configs: dict[str, Any]

    @staticmethod
    def open(run: Run, latents: Path, out: Path, choice: ModelChoice, configs: dict[str, Any]) -> LatentsToVideo:
        """Open latents and model, and check that they fit. Raises InputError before any work begins."""
        opened = Latents(latents)
        model = diffusion_model.open_model(choice.model, choice.adapter, choice.device, run.console)
        _, model = model.for_drawing(opened.drawing, choice.adapter)
        model.check(configs, opened)
        video, _ = find_video(opened.header.provenance, latents, run.console)
        return LatentsToVideo(run, latents, sound_of(video), out, model, configs)

    def plan_lines(self) -> list[str]:
        """The plan as lines: memory and time."""
        opened = Latents(self.latents)
        clip = diffusion_model.clip_of(opened)
        return self.model.plan(clip, self.configs["wan"], self.configs["wan_run"], opened.has_face).lines()

    def draw(self) -> tuple[dict[str, Any], WorkFolder]:
        """Draw the video, except in a dry run. Returns its drift report and the work folder."""
        self.model.check_runnable(self.configs)
        work = WorkFolder(self.out, self.run.console, self.run.force, self.run.dry_run)
        wan, wan_run = self.configs["wan"], self.configs["wan_run"]
        return self.model.generate(work, self.latents, wan, wan_run, self.out, self.audio_from), work
