"""report.json: figures with everything they depend on. One table says what stands in it and checks it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.errors import InputError

KIND = "report"
VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One value by dotted name, its JSON type and its meaning. An entry is needed where its section is present."""

    name: str
    type: str
    meaning: str
    required: bool = True


_FIGURE = (
    Entry("mean", "number", "over all frames"),
    Entry("mean_without_frame_0", "number", "frame 0 of a self-driven result is the reference itself", required=False),
    Entry("interval_95", "list", "bootstrap interval of the mean, blocks of one second", required=False),
    Entry("per_frame", "list", "one value per pair of frames"),
)
METRICS = ("psnr", "l1", "ssim")
REPORT = (
    Entry("kind", "text", "report"),
    Entry("schema", "number", "version of this table"),
    Entry("provenance", "object", "stage, config, sha256 of inputs"),
    Entry("paired", "object", "a result against its truth", required=False),
    Entry("paired.protocol", "text", "name of the recipe"),
    Entry("paired.protocol_rules", "text", "the recipe in words: sizes, padding, kernel, colours"),
    Entry("paired.resize_kernel", "text", "how pictures are brought to another size"),
    Entry("paired.fit", "text", "same shape, or cropped back from the method's own"),
    Entry("paired.lossy", "list", "what the files' codecs did to the pictures before, in words"),
    Entry("paired.networks", "object", "figure -> files, with sha256 and whether known or trusted", required=False),
    Entry("paired.pairing", "text", "which frame is compared with which"),
    Entry("paired.size", "number", "side of the square, pixels"),
    Entry("paired.frames", "number", "pairs of frames compared"),
    Entry("paired.definitions", "object", "what each figure means"),
    Entry("paired.inputs", "object", "sha256 of result and truth"),
    Entry("paired.files", "object", "result and truth: size, rate, codec, pixel format, colour matrix and range"),
    Entry("paired.versions", "object", "of emosh and the packages that decode and measure"),
    Entry("paired.largest_time_difference_seconds", "number", "between the frames of any pair"),
    *(
        Entry(f"paired.{where}{name}", "object", meaning)
        for where, meaning in (("", "over the whole picture"), ("picture.", "without the square's bars"))
        for name in METRICS
    ),
    *(
        Entry(f"paired.{name}", "object", "LPIPS, where its network is installed", required=False)
        for name in ("lpips_alex", "lpips_vgg")
    ),
    *(
        Entry(f"paired.{name}.{entry.name}", entry.type, entry.meaning, entry.required)
        for name in ("lpips_alex", "lpips_vgg")
        for entry in _FIGURE
    ),
    *(
        Entry(f"paired.{where}{name}.{entry.name}", entry.type, entry.meaning, entry.required)
        for where in ("", "picture.")
        for name in METRICS
        for entry in _FIGURE
    ),
    Entry("colour", "object", "mean colour over time, its distance from the start and from the truth", required=False),
    Entry("colour.definition", "text", "what the distances are"),
    Entry("colour.seconds", "list", "time of each frame"),
    *(
        Entry(f"colour.{name}.{entry.name}", entry.type, entry.meaning, entry.required)
        for name in ("lightness", "chroma", "contrast", "from_start", "from_truth")
        for entry in _FIGURE
    ),
    *(
        Entry(f"colour.{name}.{figure}", "number", meaning, required=False)
        for name in ("from_start", "from_truth")
        for figure, meaning in (("per_second", "slope"), ("late_minus_early", "last tenth less first tenth"))
    ),
    Entry("identity", "object", "ArcFace cosine with the photo (IPS)", required=False),
    Entry("identity.definition", "text", "how faces are found, aligned and compared"),
    Entry("identity.networks", "object", "the face network's file"),
    Entry("identity.frames", "number", "frames looked at"),
    Entry("identity.detection_rate", "number", "share of frames in which a face was found"),
    Entry("identity.cosine", "object", "over frames with a face"),
    Entry("identity.cosine.mean", "number", "over frames with a face", required=False),
    Entry("identity.cosine.interval_95", "list", "bootstrap interval of that mean", required=False),
    Entry("identity.cosine.per_frame", "list", "one value a frame, null where no face was found"),
    Entry("identity.misses_as_zero", "object", "over all frames, a missed face counting zero"),
    Entry("identity.by_yaw", "list", "means by how far the head is turned"),
    Entry("shape", "object", "body shape of single frames against the photo's", required=False),
    Entry("shape.definition", "text", "how shapes are compared"),
    Entry("shape.frames", "number", "frames in which a person was found"),
    Entry("shape.frames_without_person", "number", "frames looked at in which nobody was found"),
    Entry("shape.reference_cm", "object", "the photo's body"),
    Entry("shape.to_reference", "object", "frames against the photo"),
    Entry("shape.to_reference.betas_cosine", "number", "mean cosine of the coefficients"),
    Entry("shape.to_reference.sizeless_cosine", "number", "mean cosine of the surfaces at one height"),
    Entry("shape.to_reference.difference_cm", "object", "mean absolute differences"),
    Entry("shape.to_reference.ratio_difference", "object", "the same of ratios to the height"),
    Entry("shape.among_frames", "object", "frames against one another", required=False),
    Entry("shape.whole_clip", "object", "the result tracked at once, against the photo", required=False),
    Entry("shape.repeat", "object", "the photo against itself tracked again: the tracker's own error", required=False),
    Entry("shape.per_frame_cosine", "list", "one value a frame"),
    Entry("tracking", "object", "what tracking the result took (the paper's Table 6)", required=False),
    Entry("tracking.frames", "number", "frames tracked"),
    Entry("tracking.seconds", "number", "wall time"),
    Entry("tracking.frames_per_second", "number", "frames over seconds"),
    Entry("tracking.seconds_by_step", "object", "wall time by what was said of it"),
    Entry("tracking.machine", "object", "processor, cores, system"),
    Entry("tracking.settings", "object", "solver and detector"),
    Entry("tracking.reprojection", "object", "mean error per part: pixels, and share of face height or shoulder width"),
    Entry("left_out", "object", "figure -> why it is not here", required=False),
    Entry("pose", "object", "the result tracked again against the motion that drove it", required=False),
    Entry("pose.rows", "object", "rows measured in both motions, per part"),
    Entry("pose.joints_mm", "object", "every joint alone: from the neck, fingers from the wrist"),
    Entry("pose.shoulder_width_mm", "number", "of the driving motion"),
    *(
        Entry(f"pose.{name}", "number", meaning, required=False)
        for name, meaning in (
            ("upper_body_mm", "from the neck, both in the driving motion's shape"),
            ("upper_body_share_of_shoulder_width", "upper_body_mm over shoulder_width_mm"),
            ("upper_body_mm_own_shape", "from the neck, each in its own shape"),
            ("left_hand_mm", "finger joints from the wrist"),
            ("right_hand_mm", "finger joints from the wrist"),
            ("head_degrees", "angle between the heads' orientations"),
            ("head_change_degrees", "the same, each clip's first common row taken as zero"),
            ("lip_gap_correlation", "inner lips over face height, over time"),
            ("lip_gap_peak_ratio", "largest opening, result over driver"),
            ("lip_gap_error", "mean absolute difference, share of face height"),
            ("lip_gap_spread", "the driver's standard deviation; below the error, correlation means nothing"),
            ("jaw_degrees", "mean absolute difference of the opening angle"),
            ("jaw_correlation", "of the opening angle, over time"),
            ("expression_error", "mean absolute difference of the coefficients"),
            ("expression_correlation", "over time, of the coefficients the driver moves"),
        )
    ),
)
"""What stands in report.json: dotted name, type, meaning."""
_TYPES = {"text": str, "number": (int, float), "object": dict, "list": list}


def write_report(path: Path, sections: dict[str, Any]) -> None:
    """Write `sections` (provenance, paired, pose) atomically as report.json.

    Raises InputError when the place cannot be written; a section against the table is our own bug.
    """
    report = {"kind": KIND, "schema": VERSION, **sections}
    problem = _problem(report)
    assert problem is None, problem
    with atomic_path(Path(path)) as part:
        part.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_report(path: Path) -> dict[str, Any]:
    """Read and validate. Raises InputError for a missing or damaged file, another kind or another version."""
    path = Path(path)
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; make a report with: emosh evaluate VIDEO --truth VIDEO") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is not a report that can be read ({error}); evaluate again") from error
    if not isinstance(report, dict) or report.get("kind") != KIND:
        raise InputError(f"{path} is not a report that emosh wrote; make one with: emosh evaluate")
    if report.get("schema") != VERSION:
        raise InputError(f"{path} has report schema {report.get('schema')}, expected {VERSION}; evaluate again")
    problem = _problem(report)
    if problem is not None:
        raise InputError(f"{path}: {problem}; evaluate again")
    return report


def _problem(report: dict[str, Any]) -> str | None:
    """The first entry that the table does not allow, in words."""
    for entry in REPORT:
        section, _, name = entry.name.rpartition(".")
        holder = _lookup(report, section)
        if holder is None:
            continue
        value = holder.get(name)
        if value is None:
            if entry.required:
                return f"'{entry.name}' is missing"
        elif not isinstance(value, _TYPES[entry.type]) or isinstance(value, bool):
            return f"'{entry.name}' is {type(value).__name__}, expected {entry.type}"
        elif isinstance(value, float) and not math.isfinite(value):
            return f"'{entry.name}' is not finite"
    return None


def _lookup(report: dict[str, Any], dotted: str) -> dict[str, Any] | None:
    holder: Any = report
    for name in filter(None, dotted.split(".")):
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None
