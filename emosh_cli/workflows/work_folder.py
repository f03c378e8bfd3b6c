"""The work folder keeps every intermediate file with a stamp, so that a rerun makes only what changed.

The work folder of `out.mp4` is `out.emosh/`. `NAME.stamp.json` holds the provenance and the sha256 of a file. A step is
skipped only if both are unchanged: the provenance it would have now, and the sha256 of the file. The existence of a
file is never enough. The file is written first, then the stamp, each atomically. A killed run can only leave a file
without a stamp, which is made again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emosh_cli.console import Console
from stages.artifacts.atomic import atomic_path
from stages.artifacts.leftovers import made_folder
from stages.artifacts.names import refuse_links
from stages.artifacts.provenance import Provenance, sha256_file
from stages.artifacts.text_files import read_json_object
from stages.errors import InputError

NOT_MADE = "not made yet"
WORK_ENDING = ".emosh"


class WorkFolder:
    """Makes files that are not up to date. The folder is made with the first file. `dry_run`: only collect the plan."""

    def __init__(self, result: Path, console: Console, force: bool = False, dry_run: bool = False) -> None:
        self.folder = result.with_suffix(WORK_ENDING)
        self.console, self.force, self.dry_run = console, force, dry_run
        self.plan: list[str] = []
        self._digests: dict[Path, str] = {}
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{self.folder} is a file; it must be free for the work folder of {result}")
        refuse_links(self.folder)

    def digest(self, path: Path) -> str:
        """sha256 of an input, computed once per run; NOT_MADE for a file that a dry run would make."""
        if path not in self._digests:
            self._digests[path] = sha256_file(path)
        return self._digests[path]

    def step(self, label: str, output: Path, expected: Provenance, make: Callable[[Path], None]) -> bool:
        """Bring `output` up to date by calling `make(output)` if needed. Returns whether it was made."""
        reason = "asked for with --force" if self.force else self._reason(output, expected)
        if reason is None:
            self._note(f"{label}: cached")
            return False
        self._note(f"{label}: {reason}")
        if self.dry_run:
            self._digests[output] = NOT_MADE
            return True
        stamp = self._stamp(output)
        stamp.unlink(missing_ok=True)
        with made_folder(self.folder):
            make(output)
        self._digests[output] = sha256_file(output)
        record = {"output": output.name, "sha256": self._digests[output], "provenance": json.loads(expected.to_json())}
        with atomic_path(stamp) as part:
            part.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        return True

    def forget(self, output: Path) -> None:
        """Let the next run make `output` again."""
        self._stamp(output).unlink(missing_ok=True)

    def _note(self, text: str) -> None:
        self.plan.append(text)
        if not self.dry_run:
            self.console.note(text)

    def _stamp(self, output: Path) -> Path:
        return self.folder / f"{output.name}.stamp.json"

    def _reason(self, output: Path, expected: Provenance) -> str | None:
        """Why `output` must be made; None if it is up to date."""
        if not output.exists():
            return "to be made" if self.dry_run else "making it"
        try:
            stamped = read_json_object(self._stamp(output), "make it again")
            before = Provenance.from_json(json.dumps(stamped["provenance"]))
        except (InputError, ValueError, KeyError, TypeError):
            if not self._stamp(output).exists():
                return "made again, because there is no record of how it was made"
            return "made again, because the record of how it was made is damaged"
        if before.fingerprint() != expected.fingerprint():
            return f"made again, because {'; '.join(changes(before, expected))}"
        if stamped.get("sha256") != sha256_file(output):
            return f"made again, because {output.name} is not as it was written"
        self._digests[output] = str(stamped["sha256"])
        return None


def changes(before: Provenance, now: Provenance) -> list[str]:
    """The differences between two provenances, one text per difference."""
    old, new = _flat(before), _flat(now)
    differences = []
    for key in sorted(old.keys() | new.keys()):
        was, is_ = old.get(key, "absent"), new.get(key, "absent")
        if was != is_:
            differences.append(_describe_change(key, was, is_))
    return differences or ["the record changed"]


def _describe_change(key: str, was: object, is_: object) -> str:
    """One difference as text. For digests only the name is given, since their values tell a reader nothing."""
    group, _, name = key.partition(".")
    if key == "weights.code":
        return "emosh's own code changed"
    if group in ("inputs", "weights"):
        return f"the {name} changed"
    return f"{name if group == 'config' else key} was {was}, now {is_}"


def _flat(provenance: Provenance) -> dict[str, Any]:
    fields = {key: value for key, value in asdict(provenance).items() if key != "notes"}
    flat: dict[str, Any] = {}
    for key, value in json.loads(json.dumps(fields, default=str)).items():
        if isinstance(value, dict):
            flat.update({f"{key}.{name}": inner for name, inner in value.items()})
        else:
            flat[key] = value
    return flat
