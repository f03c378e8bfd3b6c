"""Compares one result with the real video, its photo and its motion: the report of `emosh evaluate`.

The result is tracked here, because stages do not import each other.
"""

from __future__ import annotations

import json
import platform
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emosh_cli.run import Run
from emosh_cli.workflows.tracking import track_source
from stages.cores import processor, usable_cores

if TYPE_CHECKING:
    from stages.artifacts.motion import Motion
    from stages.progress import Progress
    from stages.track.config import TrackConfig

NEEDS_MANY_CLIPS = {
    "fid": "needs many clips: emosh evaluate --table",
    "fvd": "needs many clips: emosh evaluate --table",
}


@dataclass(frozen=True)
class EvaluationInputs:
    """A result and the files that it is compared with."""

    result: Path
    truth: Path | None
    motion: Path | None
    ref: Path | None
    tracked: Path | None
    plot: Path | None
    body: str

    @property
    def files(self) -> dict[str, Path]:
        """Role -> file, for every file on the command line."""
        roles = {"video": self.result, "truth": self.truth, "motion": self.motion, "photo": self.ref,
                 "tracked": self.tracked}  # fmt: skip
        return {role: path for role, path in roles.items() if path is not None}


def evaluate(run: Run, inputs: EvaluationInputs, configs: dict[str, Any]) -> dict[str, Any]:
    """The report. `configs` maps evaluate and track to frozen configs."""
    sections, weights = _sections(run, inputs, configs)
    return {"provenance": json.loads(_provenance(configs, inputs, weights)), **sections}


def _sections(run: Run, inputs: EvaluationInputs, configs: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Every section that the input files allow, and the sha256 of the networks.

    The quick sections come first, because they raise InputError for videos that do not belong together.
    """
    from stages.evaluate.colour import colour_over_time
    from stages.evaluate.evaluate import evaluate_paired
    from stages.evaluate.networks import chosen

    config, progress = configs["evaluate"], run.console.progress
    report: dict[str, Any] = {}
    weights: dict[str, str] = {}
    left_out = dict(NEEDS_MANY_CLIPS)
    if inputs.truth is not None:
        found = chosen.paired_metrics(config)
        paired = evaluate_paired(inputs.result, inputs.truth, config, progress, networks=found.metrics)
        definitions = {**paired["definitions"], **found.definitions}
        report["paired"] = {**paired, "definitions": definitions, "networks": found.files}
        weights, left_out = found.weights, {**left_out, **found.left_out}
    report["colour"] = colour_over_time(inputs.result, inputs.truth, config, progress)
    own = None
    if inputs.motion is not None:
        own, sections = _pose_sections(run, inputs, configs["track"])
        report |= sections
    if inputs.ref is not None:
        from stages.evaluate.identity import identity_sections

        if config.shape_frames:
            report["shape"] = _shape_section(run, inputs, configs, own)
        else:
            left_out["shape"] = "not asked for: evaluate.shape_frames is 0"
        sections, used = identity_sections(inputs.result, inputs.ref, progress)
        left_out |= used.left_out
        report |= sections
        weights = {**weights, **used.weights}
    report["left_out"] = left_out
    for figure in set(left_out) - set(NEEDS_MANY_CLIPS):
        run.console.note(f"left out: {figure}: {left_out[figure]}")
    return report, weights


def _shape_section(run: Run, inputs: EvaluationInputs, configs: dict[str, Any], whole: Motion | None) -> dict[str, Any]:
    from emosh_cli.workers.clip_metrics import picture_tracker
    from stages.body.store import open_body
    from stages.evaluate.shape_section import shape_section

    assert inputs.ref is not None
    body = open_body(inputs.body, progress=run.console.progress)
    return shape_section(
        inputs.result, inputs.ref, configs["evaluate"].shape_frames, body, picture_tracker(body, configs["track"]),
        whole=whole, progress=run.console.progress,
    )  # fmt: skip


def _pose_sections(run: Run, inputs: EvaluationInputs, config: TrackConfig) -> tuple[Motion, dict[str, Any]]:
    """The result's motion, and the section `pose`; also `tracking` if the result is tracked here."""
    from stages.body.store import open_body
    from stages.evaluate.pose_error import pose_error

    assert inputs.motion is not None
    driving = read_motion(inputs.motion)
    if inputs.tracked is not None:
        own = read_motion(inputs.tracked)
        return own, {"pose": pose_error(own, driving, open_body(inputs.body))}
    own, tracking = track_result(run, inputs.result, inputs.body, config)
    return own, {"pose": pose_error(own, driving, open_body(inputs.body)), "tracking": tracking}


def _provenance(configs: dict[str, Any], inputs: EvaluationInputs, weights: dict[str, str]) -> str:
    from stages.artifacts.provenance import Provenance, config_dict, sha256_file

    digests = {role: sha256_file(path) for role, path in inputs.files.items() if path.is_file()}
    config = {section: config_dict(value) for section, value in configs.items()}
    notes = {role: path.name for role, path in inputs.files.items()}
    return Provenance("evaluate", config, digests, weights, notes=notes).to_json()


SUMMARY_FIGURES = {
    "paired.psnr.mean": "PSNR {:.2f} dB",
    "paired.l1.mean": "L1 {:.4g}",
    "paired.ssim.mean": "SSIM {:.4f}",
    "paired.lpips_alex.mean": "LPIPS (alex) {:.4f}",
    "paired.lpips_vgg.mean": "LPIPS (vgg) {:.4f}",
    "identity.cosine.mean": "identity {:.3f}",
    "identity.misses_as_zero.mean": "({:.3f} with misses as zero)",
    "face_distance.distance.mean": "face distance {:.3f}",
    "colour.from_truth.mean": "colour off by {:.1f} (CIE76)",
    "colour.from_start.per_second": "colour drifts {:+.2f} per second",
    "pose.upper_body_mm": "upper body off by {:.0f} mm",
    "pose.left_hand_mm": "left hand {:.0f} mm",
    "pose.right_hand_mm": "right hand {:.0f} mm",
    "pose.head_change_degrees": "head rotation off by {:.1f} degrees",
    "pose.lip_gap_correlation": "lip correlation {:.2f}",
    "shape.to_reference.betas_cosine": "body shape cosine {:.3f}",
    "shape.to_reference.sizeless_cosine": "at equal height {:.3f}",
    "shape.repeat.sizeless_cosine": "(tracker repeat {:.3f})",
    "tracking.frames_per_second": "tracked at {:.1f} frames/s",
}
"""Figure -> its text in the summary line. The report has all figures."""


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


def summary_phrases(report: dict[str, Any]) -> list[str]:
    """The texts of SUMMARY_FIGURES, for the figures that a report holds."""
    figures = figures_of(report)
    return [text.format(figures[name]) for name, text in SUMMARY_FIGURES.items() if name in figures]


@dataclass
class Stopwatch:
    """A progress that also measures the seconds of each label."""

    inner: Progress
    seconds: dict[str, float] = field(default_factory=dict)
    _label: str = ""
    _since: float = 0.0

    def __call__(self, label: str, done: int, total: int | None) -> None:
        """Forward the call, and add the time since the last call to the label of that call."""
        now = time.monotonic()
        if self._label:
            self.seconds[self._label] = self.seconds.get(self._label, 0.0) + now - self._since
        self._label, self._since = label, now
        self.inner(label, done, total)


def track_result(run: Run, result: Path, body: str, config: TrackConfig) -> tuple[Motion, dict[str, Any]]:
    """The result's motion, and the section `tracking`: frames, seconds, machine (Table 6)."""
    from stages.body.store import open_body
    from stages.track.summary import mean_errors

    open_body(body, progress=run.console.progress)  # baking the body is not part of the tracking time
    own, watch = run.console.progress, Stopwatch(run.console.progress)
    began = time.monotonic()
    run.console.progress = watch  # type: ignore[method-assign]
    try:
        motion = track_source(run, result, body, config)
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
