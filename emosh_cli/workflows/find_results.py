"""Finds the results of emosh in a folder, each with its inputs, from the provenance in the files.

A result is a video that `generate` wrote. Its work folder lies beside it (`out.emosh/` for `out.mp4`). Photo and
driving video are searched in the folder by the names recorded in the motions. They are used only if their sha256 is the
one that was tracked; nothing outside the folder is read. Overlays and reports are matched by their inputs' sha256.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from emosh_cli.outputs import VIDEO
from emosh_cli.provenance_reader import provenance_of
from emosh_cli.workflows.work_folder import WORK_ENDING
from stages.artifacts.provenance import Provenance, sha256_file, source_name, source_notes
from stages.evaluate.report import read_report

SKIPPED_ENDINGS = (WORK_ENDING, "-files")
"""Endings of folders that hold intermediate files, or copies for a gallery page."""


@dataclass
class FoundResult:
    """One result and its inputs. A file that is not found is None."""

    result: Path
    record: Provenance
    root: Path
    """The folder that was searched."""
    others: tuple[tuple[Path, Provenance], ...]
    """Every other video and report with provenance in the folder."""
    files: tuple[Path, ...]
    """All files in the folder."""
    motions: dict[str, Path]
    """Fingerprint -> motion, for all motions in the folder and in its work folders."""

    @property
    def work(self) -> Path:
        """The path of the work folder, which may not exist."""
        return self.result.with_suffix(WORK_ENDING)

    @cached_property
    def condition(self) -> Path | None:
        """The condition map."""
        return _if_file(self.work / "cond.mp4")

    @cached_property
    def driver_motion(self) -> Path | None:
        """The tracked motion of the driver: in the work folder, or the file that `generate --motion` read."""
        return _if_file(self.work / "drive.npz") or self.motions.get(self._retarget_record.inputs.get("driver", ""))

    @cached_property
    def photo(self) -> Path | None:
        """The reference photo."""
        return self._source(_if_file(self.work / "ref.npz"))

    @cached_property
    def driver(self) -> Path | None:
        """The driving video."""
        return self._source(self.driver_motion)

    @cached_property
    def overlay(self) -> Path | None:
        """The overlay of the driving video that was drawn from the same motion."""
        return self._made_from("overlay", "motion", self._fingerprint(self.driver_motion))

    @cached_property
    def report(self) -> dict[str, Any] | None:
        """The report of `emosh evaluate` on exactly this file."""
        path = self._made_from("evaluate", "video", sha256_file(self.result))
        return None if path is None else read_report(path)

    @cached_property
    def retarget(self) -> dict[str, float]:
        """The numbers of the retarget report."""
        report = self._retarget_record.notes.get("report")
        numbers = report.items() if isinstance(report, dict) else ()
        return {name: value for name, value in numbers if type(value) in (int, float)}

    @cached_property
    def _retarget_record(self) -> Provenance:
        target = _if_file(self.work / "target.npz")
        return (None if target is None else provenance_of(target)) or Provenance("nothing")

    def _fingerprint(self, motion: Path | None) -> str | None:
        record = None if motion is None else provenance_of(motion)
        return None if record is None else record.fingerprint()

    def _made_from(self, stage: str, role: str, digest: str | None) -> Path | None:
        if digest is None:
            return None
        made = (path for path, each in self.others if each.stage == stage and each.inputs.get(role) == digest)
        return next(made, None)

    def _source(self, motion: Path | None) -> Path | None:
        """The file in the searched folder that a motion was tracked from, if its sha256 is unchanged."""
        record = None if motion is None else provenance_of(motion)
        name = None if record is None else source_name(record)
        if record is None or name is None:
            return None
        sha256, root = source_notes(record)["source_sha256"], self.root.resolve()
        near = (path for path in self.files if path.name == name and root in path.resolve().parents)
        return next((path for path in near if sha256_file(path) == sha256), None)


def find_results(root: Path) -> list[FoundResult]:
    """All results under a folder, sorted by path. Work folders, gallery copies and hidden folders are skipped."""
    files = tuple(sorted(_walk(root)))
    candidates = [path for path in files if path.suffix.lower() in (*VIDEO.suffixes, ".json")]
    stamped = [(path, record) for path in candidates if (record := provenance_of(path)) is not None]
    results = [
        (path, record)
        for path, record in stamped
        if path.suffix.lower() in VIDEO.suffixes and record.stage in VIDEO.stages
    ]
    motions = _motions([*files, *(path.with_suffix(WORK_ENDING) / "drive.npz" for path, _ in results)])
    return [
        FoundResult(path, record, root, tuple(each for each in stamped if each[0] != path), files, motions)
        for path, record in results
    ]


def _motions(paths: list[Path]) -> dict[str, Path]:
    """Fingerprint -> file, for the motions among `paths`."""
    candidates = ((path, provenance_of(path)) for path in paths if path.suffix.lower() == ".npz" and path.is_file())
    return {record.fingerprint(): path for path, record in candidates if record is not None}


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".") and not name.endswith(SKIPPED_ENDINGS)]
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def _if_file(path: Path) -> Path | None:
    return path if path.is_file() else None
