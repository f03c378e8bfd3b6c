"""report.json: figures and everything they depend on. One table lists its entries and is used to check them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.artifacts.atomic import atomic_path
from stages.artifacts.limits import MAX_SIDE_PX
from stages.artifacts.text_files import read_json
from stages.errors import InputError

KIND = "report"
VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One value: dotted name, JSON type, meaning. A required entry must exist wherever its section exists. A number
    lies between `least` and `most`, both included; a list of numbers ("numbers") has null for what is not known."""

    name: str
    type: str
    meaning: str
    required: bool = True
    least: float = -math.inf
    most: float = math.inf


_FIGURE = (
    Entry("mean", "number", "mean over all frames"),
    Entry("mean_without_frame_0", "number", "frame 0 of a self-driven result is the reference itself", required=False),
    Entry("interval_95", "numbers", "95 % bootstrap interval of the mean, blocks of one second", required=False),
    Entry("per_frame", "numbers", "one value per pair of frames"),
)
METRICS = ("psnr", "l1", "ssim")


def _faces(section: str, figure: str, least: float, most: float) -> tuple[Entry, ...]:
    """The entries of a section that compares the faces of all frames with the photo's."""
    return (
        Entry(f"{section}.definition", "text", "how faces are found, placed and compared"),
        Entry(f"{section}.networks", "object", "the face network's file"),
        Entry(f"{section}.frames", "number", "frames searched for a face", least=0),
        Entry(f"{section}.detection_rate", "number", "share of frames in which a face was found", least=0, most=1),
        Entry(f"{section}.{figure}", "object", f"{figure} over the frames with a face"),
        Entry(f"{section}.{figure}.mean", "number", "mean over the frames with a face", False, least, most),
        Entry(f"{section}.{figure}.interval_95", "numbers", "95 % bootstrap interval of that mean", required=False),
        Entry(f"{section}.{figure}.per_frame", "numbers", "one value per frame, null where no face was found"),
        Entry(f"{section}.by_yaw", "list", "means by how far the head is turned"),
    )


REPORT = (
    Entry("kind", "text", "report"),
    Entry("schema", "number", "version of this table"),
    Entry("provenance", "object", "stage, config, sha256 of inputs"),
    Entry("paired", "object", "a result compared with its truth", required=False),
    Entry("paired.protocol", "text", "name of the protocol"),
    Entry("paired.protocol_rules", "text", "the protocol in words: sizes, padding, colours"),
    Entry("paired.resize_kernel", "text", "how pictures are resized"),
    Entry("paired.fit", "text", "same: both have one shape; pad: cropped back from the method's own shape"),
    Entry("paired.lossy", "list", "what the files' codecs did to the pictures before the comparison, in words"),
    Entry("paired.networks", "object", "figure -> network files: sha256, known or trusted by the user", required=False),
    Entry("paired.pairing", "text", "which frame is compared with which"),
    Entry("paired.size", "number", "side of the square, pixels", least=1, most=MAX_SIDE_PX),
    Entry("paired.frames", "number", "pairs of frames compared", least=0),
    Entry("paired.definitions", "object", "what each figure means"),
    Entry("paired.inputs", "object", "sha256 of result and truth"),
    Entry("paired.files", "object", "result and truth: size, rate, codec, pixel format, colour matrix and range"),
    Entry("paired.versions", "object", "versions of emosh and the packages that decode and measure"),
    Entry(
        "paired.largest_time_difference_seconds", "number", "largest time difference between two paired frames", least=0
    ),
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
    Entry("colour.seconds", "numbers", "time of each frame"),
    *(
        Entry(f"colour.{name}.{entry.name}", entry.type, entry.meaning, entry.required)
        for name in ("lightness", "chroma", "contrast", "from_start", "from_truth")
        for entry in _FIGURE
    ),
    *(
        Entry(f"colour.{name}.{figure}", "number", meaning, required=False)
        for name in ("from_start", "from_truth")
        for figure, meaning in (
            ("per_second", "slope"),
            ("late_minus_early", "mean of the last tenth minus mean of the first tenth"),
        )
    ),
    Entry("identity", "object", "ArcFace cosine with the photo (IPS)", required=False),
    Entry("identity.misses_as_zero", "object", "cosine over all frames, a missed face counts as 0"),
    Entry("face_distance", "object", "distance to the photo's face by dlib's network", required=False),
    *_faces("identity", "cosine", -1.001, 1.001),
    *_faces("face_distance", "distance", 0, 2),
    Entry("shape", "object", "body shape of single frames compared with the photo's", required=False),
    Entry("shape.definition", "text", "how shapes are compared"),
    Entry("shape.frames", "number", "frames in which a person was found", least=0),
    Entry("shape.frames_without_person", "number", "frames in which no person was found", least=0),
    Entry("shape.reference_cm", "object", "measurements of the photo's body"),
    Entry("shape.to_reference", "object", "frames compared with the photo"),
    Entry("shape.to_reference.betas_cosine", "number", "mean cosine of the betas", least=-1.001, most=1.001),
    Entry(
        "shape.to_reference.sizeless_cosine",
        "number",
        "mean cosine of the surfaces scaled to one height",
        least=-1.001,
        most=1.001,
    ),
    Entry("shape.to_reference.difference_cm", "object", "mean absolute difference of each measurement"),
    Entry("shape.to_reference.ratio_difference", "object", "mean absolute difference of each ratio to the height"),
    Entry("shape.among_frames", "object", "frames compared with one another", required=False),
    Entry("shape.whole_clip", "object", "the result tracked as one clip, compared with the photo", required=False),
    Entry("shape.repeat", "object", "the photo against itself tracked again: the tracker's own error", required=False),
    Entry("shape.per_frame_cosine", "numbers", "cosine of the betas, one value per frame"),
    Entry("tracking", "object", "time and error of tracking the result (the paper's Table 6)", required=False),
    Entry("tracking.frames", "number", "frames tracked", least=0),
    Entry("tracking.seconds", "number", "wall time", least=0),
    Entry("tracking.frames_per_second", "number", "frames tracked per second", least=0),
    Entry("tracking.seconds_by_step", "object", "wall time of each step, by the step's name"),
    Entry("tracking.machine", "object", "processor, cores, system"),
    Entry("tracking.settings", "object", "solver and detector"),
    Entry("tracking.reprojection", "object", "mean error per part: pixels, and share of face height or shoulder width"),
    Entry("left_out", "object", "figure -> why it is missing", required=False),
    Entry("pose", "object", "the motion tracked in the result compared with the motion that drove it", required=False),
    Entry("pose.rows", "object", "rows measured in both motions, per part"),
    Entry("pose.joints_mm", "object", "error of each joint: relative to the neck, fingers relative to the wrist"),
    Entry("pose.shoulder_width_mm", "number", "shoulder width of the driving motion", least=0),
    *(
        Entry(f"pose.{name}", "number", meaning, required=False)
        for name, meaning in (
            ("upper_body_mm", "error of joints relative to the neck, both in the driving motion's shape"),
            ("upper_body_share_of_shoulder_width", "upper_body_mm over shoulder_width_mm"),
            ("upper_body_mm_own_shape", "error of joints relative to the neck, each motion in its own shape"),
            ("left_hand_mm", "error of finger joints relative to the wrist"),
            ("right_hand_mm", "error of finger joints relative to the wrist"),
            ("head_degrees", "angle between the heads' orientations"),
            ("head_change_degrees", "the same, with each motion's first common row taken as zero"),
            ("lip_gap_correlation", "correlation over time of the lip gap, a share of face height"),
            ("lip_gap_peak_ratio", "largest opening, result over driver"),
            ("lip_gap_error", "mean absolute difference, share of face height"),
            ("lip_gap_spread", "the driver's standard deviation; if it is below the error, the correlation is noise"),
            ("jaw_degrees", "mean absolute difference of the jaw's opening angle"),
            ("jaw_correlation", "correlation over time of the jaw's opening angle"),
            ("expression_error", "mean absolute difference of the expression coefficients"),
            ("expression_correlation", "correlation over time of the coefficients that the driver moves"),
        )
    ),
)
"""Every entry of report.json: dotted name, type, meaning."""
_TYPES = {"text": str, "number": (int, float), "object": dict, "list": list, "numbers": list}
_SAME_LENGTH = (
    *(
        (f"paired.{where}{name}.per_frame", "paired.frames")
        for where in ("", "picture.")
        for name in (*METRICS, "lpips_alex", "lpips_vgg")
    ),
    *(
        (f"colour.{name}.per_frame", "colour.seconds")
        for name in ("lightness", "chroma", "contrast", "from_start", "from_truth")
    ),
    ("identity.cosine.per_frame", "identity.frames"),
    ("face_distance.distance.per_frame", "face_distance.frames"),
)
"""A list, and the number of its values, or a list of the same length."""


def write_report(path: Path, sections: dict[str, Any]) -> None:
    """Write `sections` (provenance, paired, pose and so on) atomically as report.json.

    Raises InputError when the file cannot be written. A section that breaks the table is a bug in emosh.
    """
    report = {"kind": KIND, "schema": VERSION, **sections}
    problem = _problem(report)
    assert problem is None, problem
    with atomic_path(Path(path)) as part:
        part.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_report(path: Path) -> dict[str, Any]:
    """Read and validate. Raises InputError for a missing or damaged file, another kind or another version."""
    path = Path(path)
    report = read_json(path, "make a report with: emosh evaluate VIDEO --truth VIDEO")
    if not isinstance(report, dict) or report.get("kind") != KIND:
        raise InputError(f"{path} is not a report that emosh wrote; make one with: emosh evaluate")
    if report.get("schema") != VERSION:
        raise InputError(
            f"{path} has report schema {report.get('schema')}, expected {VERSION}; run emosh evaluate again"
        )
    problem = _problem(report)
    if problem is not None:
        raise InputError(f"{path}: {problem}; run emosh evaluate again")
    return report


def _problem(report: dict[str, Any]) -> str | None:
    """The first entry that breaks the table, in words; None for a valid report."""
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
        elif entry.type == "number" and not (math.isfinite(value) and entry.least <= value <= entry.most):
            return f"'{entry.name}' is {value:g}, expected {entry.least:g} to {entry.most:g}"
        elif entry.type == "numbers" and not all(each is None or _is_number(each) for each in value):
            return f"'{entry.name}' holds something that is no number"
    for name, other in _SAME_LENGTH:
        values, wanted = _value(report, name), _value(report, other)
        count = len(wanted) if isinstance(wanted, list) else wanted
        if values is not None and count is not None and len(values) != count:
            return f"'{name}' has {len(values)} values, '{other}' says {count:g}"
    return None


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _value(report: dict[str, Any], dotted: str) -> Any:
    section, _, name = dotted.rpartition(".")
    return (_lookup(report, section) or {}).get(name)


def _lookup(report: dict[str, Any], dotted: str) -> dict[str, Any] | None:
    holder: Any = report
    for name in filter(None, dotted.split(".")):
        holder = holder.get(name) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None
