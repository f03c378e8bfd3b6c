"""The results of emosh in a folder, each with what made it, found by what the files say of themselves.

A result is a video stamped by `generate`; its work folder lies beside it (`out.emosh/` of `out.mp4`). Photo and driving
video are looked for in the folder by the names that the motions tell, and taken only when their bytes are those that
were tracked; nothing outside the folder is read. Overlays and reports are matched by what they were made from.
"""

from __future__ import annotations

import json
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

NOT_RESULTS = (WORK_ENDING, "-files")
"""How folders end that hold parts of results, or copies for a page."""


@dataclass
class FoundResult:
    """One result and what is known of it. What is not there is None."""

    result: Path
    record: Provenance
    root: Path
    """The folder that was asked for."""
    others: tuple[tuple[Path, Provenance], ...]
    """Every other stamped video and report in it."""
    files: tuple[Path, ...]
    """Everything in it."""
    motions: dict[str, Path]
    """Fingerprint -> motion, of all that lie in it and in its work folders."""

    @property
    def work(self) -> Path:
        """The work folder, there or not."""
        return self.result.with_suffix(WORK_ENDING)

    @cached_property
    def condition(self) -> Path | None:
        """The condition map."""
        return _there(self.work / "cond.mp4")

    @cached_property
    def driver_motion(self) -> Path | None:
        """The driver as it was tracked: in the work folder, or wherever the motion lies that `generate` was given."""
        return _there(self.work / "drive.npz") or self.motions.get(self._retargeted.inputs.get("driver", ""))

    @cached_property
    def photo(self) -> Path | None:
        """The reference photo."""
        return self._source(_there(self.work / "ref.npz"))

    @cached_property
    def driver(self) -> Path | None:
        """The driving video."""
        return self._source(self.driver_motion)

    @cached_property
    def overlay(self) -> Path | None:
        """The fitted body over the driving video, of the same motion."""
        return self._made_from("overlay", "motion", self._fingerprint(self.driver_motion))

    @cached_property
    def report(self) -> dict[str, Any] | None:
        """What evaluate measured on this very file."""
        path = self._made_from("evaluate", "video", sha256_file(self.result))
        return None if path is None else json.loads(path.read_text(encoding="utf-8"))

    @cached_property
    def retarget(self) -> dict[str, Any]:
        """What retargeting changed."""
        return self._retargeted.notes.get("report", {})

    @cached_property
    def _retargeted(self) -> Provenance:
        target = _there(self.work / "target.npz")
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
        """The file that a motion was tracked from: in the folder that was asked for, its bytes unchanged."""
        record = None if motion is None else provenance_of(motion)
        name = None if record is None else source_name(record)
        if record is None or name is None:
            return None
        sha256, root = source_notes(record)["source_sha256"], self.root.resolve()
        near = (path for path in self.files if path.name == name and root in path.resolve().parents)
        return next((path for path in near if sha256_file(path) == sha256), None)


def find_results(root: Path) -> list[FoundResult]:
    """All results under a folder, by name; work folders, galleries' own and hidden folders are not looked into."""
    files = tuple(sorted(_walk(root)))
    told = [path for path in files if path.suffix.lower() in (*VIDEO.suffixes, ".json")]
    stamped = [(path, record) for path in told if (record := provenance_of(path)) is not None]
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
    """Fingerprint -> file, of the tracked motions among them."""
    told = ((path, provenance_of(path)) for path in paths if path.suffix.lower() == ".npz" and path.is_file())
    return {record.fingerprint(): path for path, record in told if record is not None}


def _walk(root: Path) -> Iterator[Path]:
    for folder, inner, names in os.walk(root):
        inner[:] = [name for name in inner if not name.startswith(".") and not name.endswith(NOT_RESULTS)]
        yield from (Path(folder) / name for name in names if not name.startswith("."))


def _there(path: Path) -> Path | None:
    return path if path.is_file() else None
