"""One result against its truth, its photo and its motion: the sections of a report that `emosh evaluate` writes.

The result is tracked here, since stages do not know one another.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.run import Run
from emosh_cli.workflows.tracking import tracked
from stages.cores import processor, usable_cores

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.progress import Progress
    from stages.track.config import TrackConfig

OVER_MANY_CLIPS = {
    "fid": "a figure of many clips, not of one: emosh evaluate --table",
    "fvd": "a figure of many clips, not of one: emosh evaluate --table",
}


@dataclass(frozen=True)
class EvaluationInputs:
    """What a result is compared with."""

    result: Path
    truth: Path | None
    motion: Path | None
    ref: Path | None
    tracked: Path | None
    plot: Path | None
    body: str

    @property
    def given(self) -> dict[str, Path]:
        """Role -> file, of everything that was named."""
        roles = {"video": self.result, "truth": self.truth, "motion": self.motion, "photo": self.ref,
                 "tracked": self.tracked}  # fmt: skip
        return {role: path for role, path in roles.items() if path is not None}


def evaluate(run: Run, asked: EvaluationInputs, configs: dict[str, Any]) -> dict[str, Any]:
    """The whole report. `configs` maps evaluate and track to frozen configs."""
    sections, weights = _sections(run, asked, configs)
    return {"provenance": json.loads(_provenance(configs, asked, weights)), **sections}


def _sections(run: Run, asked: EvaluationInputs, configs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Every section that the given files allow, and the networks' sha256. The quick ones come first, since they refuse
    videos that do not belong together.
    """
    from stages.evaluate.colour import colour_over_time
    from stages.evaluate.evaluate import evaluate_paired
    from stages.evaluate.networks import chosen

    config, progress = configs["evaluate"], run.console.progress
    report: dict[str, Any] = {}
    weights: dict[str, str] = {}
    left_out = dict(OVER_MANY_CLIPS)
    if asked.truth is not None:
        found = chosen.paired_metrics(config)
        paired = evaluate_paired(asked.result, asked.truth, config, progress, networks=found.metrics)
        definitions = {**paired["definitions"], **found.definitions}
        report["paired"] = {**paired, "definitions": definitions, "networks": found.files}
        weights, left_out = found.weights, {**left_out, **found.left_out}
    report["colour"] = colour_over_time(asked.result, asked.truth, config, progress)
    own = None
    if asked.motion is not None:
        own, sections = _pose(run, asked, configs["track"])
        report |= sections
    if asked.ref is not None:
        from stages.evaluate.identity import identity_section

        if config.shape_frames:
            report["shape"] = _shape(run, asked, configs, own)
        else:
            left_out["shape"] = "not asked for: evaluate.shape_frames is 0"
        section, used = identity_section(asked.result, asked.ref, progress)
        left_out |= used.left_out
        if section is not None:
            report["identity"] = section
            weights = {**weights, **used.weights}
    report["left_out"] = left_out
    for figure in set(left_out) - set(OVER_MANY_CLIPS):
        run.console.note(f"left out: {figure}: {left_out[figure]}")
    return report, weights


def _shape(run: Run, asked: EvaluationInputs, configs: dict[str, Any], whole: Motion | None) -> dict[str, Any]:
    from emosh_cli.workers.clip_metrics import picture_tracker
    from stages.body.store import open_body
    from stages.evaluate.shape_section import shape_section

    assert asked.ref is not None
    body = open_body(asked.body, progress=run.console.progress)
    return shape_section(
        asked.result, asked.ref, configs["evaluate"].shape_frames, body, picture_tracker(body, configs["track"]),
        whole=whole, progress=run.console.progress,
    )  # fmt: skip


def _pose(run: Run, asked: EvaluationInputs, config: TrackConfig) -> tuple[Motion, dict[str, Any]]:
    """The result's motion, and the sections pose and, where the result is tracked here, tracking."""
    from stages.body.store import open_body
    from stages.evaluate.pose_error import pose_error

    assert asked.motion is not None
    driving = read_motion(asked.motion)
    if asked.tracked is not None:
        own = read_motion(asked.tracked)
        return own, {"pose": pose_error(own, driving, open_body(asked.body))}
    own, tracking = tracked_result(run, asked.result, asked.body, config)
    return own, {"pose": pose_error(own, driving, open_body(asked.body)), "tracking": tracking}


def _provenance(configs: dict[str, Any], asked: EvaluationInputs, weights: dict[str, str]) -> str:
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    inputs = {role: sha256_file(path) for role, path in asked.given.items() if path.is_file()}
    config = {section: config_dict(value) for section, value in configs.items()}
    notes = {role: str(path) for role, path in asked.given.items()}
    return Provenance("evaluate", config, inputs, weights, notes=notes).to_json()


SAID = {
    "paired.psnr.mean": "PSNR {:.2f} dB",
    "paired.l1.mean": "L1 {:.4g}",
    "paired.ssim.mean": "SSIM {:.4f}",
    "paired.lpips_alex.mean": "LPIPS (alex) {:.4f}",
    "paired.lpips_vgg.mean": "LPIPS (vgg) {:.4f}",
    "identity.cosine.mean": "identity {:.3f}",
    "identity.misses_as_zero.mean": "({:.3f} with misses as zero)",
    "colour.from_truth.mean": "colour off by {:.1f} (CIE76)",
    "colour.from_start.per_second": "colour drifts {:+.2f} a second",
    "pose.upper_body_mm": "upper body off by {:.0f} mm",
    "pose.left_hand_mm": "left hand {:.0f} mm",
    "pose.right_hand_mm": "right hand {:.0f} mm",
    "pose.head_change_degrees": "head's turning off by {:.1f} degrees",
    "pose.lip_gap_correlation": "lips correlate {:.2f}",
    "shape.to_reference.betas_cosine": "body shape's cosine {:.3f}",
    "shape.to_reference.sizeless_cosine": "at one height {:.3f}",
    "shape.repeat.sizeless_cosine": "(the tracker's own {:.3f})",
    "tracking.frames_per_second": "tracked at {:.1f} frames/s",
}
"""Figures of the summary line; the file has all of them."""


def figures_of(report: dict[str, Any]) -> dict[str, float]:
    """Every number of the report by dotted name, without the per-frame lists."""
    found: dict[str, float] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[prefix] = float(value)

    walk("", report)
    return found


def phrases(report: dict[str, Any]) -> list[str]:
    """SAID, filled in with the figures that a report holds."""
    figures = figures_of(report)
    return [text.format(figures[name]) for name, text in SAID.items() if name in figures]


@dataclass
class Stopwatch:
    """A progress that also notes how long each label lasted."""

    inner: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _label: str = ""
    _since: float = 0.0

    def __call__(self, label: str, done: int, total: int | None) -> None:
        """Pass it on, and count the time since the last call to the label that was running."""
        now = time.monotonic()
        if self._label:
            self.seconds[self._label] = self.seconds.get(self._label, 0.0) + now - self._since
        self._label, self._since = label, now
        self.inner(label, done, total)


def tracked_result(run: Run, result: Path, body: str, config: TrackConfig) -> tuple[Motion, dict[str, Any]]:
    """The result's motion, and the section `tracking`: what it took (Table 6)."""
    from stages.body.store import open_body
    from stages.track.summary import mean_errors

    open_body(body, progress=run.console.progress)  # baking is no part of tracking
    own, watch = run.console.progress, Stopwatch(run.console.progress)
    began = time.monotonic()
    run.console.progress = watch  # type: ignore[method-assign]
    try:
        motion = tracked(run, result, body, config)
    finally:
        run.console.progress = own  # type: ignore[method-assign]
    seconds = time.monotonic() - began
    return motion, {
        "frames": len(motion),
        "seconds": round(seconds, 3),
        "frames_per_second": round(len(motion) / seconds, 3),
        "seconds_by_step": {label: round(value, 3) for label, value in watch.seconds.items()},
        "machine": {"processor": processor(), "cores": usable_cores(), "system": platform.platform()},
        "settings": {"solver": config.solver, "detector": config.detector},
        "reprojection": mean_errors(motion),
    }


def read_motion(path: Path) -> Motion:
    """A motion from a file or a pipe."""
    from emosh_cli import pipes
    from stages.artifacts.motion import load_motion

    with pipes.readable(path) as readable:
        return load_motion(readable)
