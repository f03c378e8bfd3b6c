"""emosh under damaged files: damages a whole file of every format, reads it, and prints a table of how that ended.

    python -m tests.fuzz --count 10000 --seed 1
    python -m tests.fuzz --only motion --only photo --count 500
    python -m tests.fuzz --keep faults                 keeps the folder of each case that failed

The same seed gives the same cases. Exit code 1 if a case failed.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import importlib
import json
import os
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from tests.fuzz import seeds as makers
from tests.fuzz.cases import FAULTS, Ending, run_case
from tests.fuzz.formats import FORMATS, Format, place
from tests.fuzz.home import own_home


def main(words: list[str] | None = None) -> int:
    """Run the cases; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="cases, spread over the formats")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="formats or groups whose name holds this text")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--seeds", type=Path, help="folder of whole files, made once (default: a temporary one)")
    parser.add_argument("--keep", type=Path, help="folder for the cases that fail")
    given = parser.parse_args(words)
    only = given.only or [""]
    chosen = [each for each in FORMATS if any(text in name for text in only for name in (each.name, each.group))]
    if not chosen:
        parser.error(f"no format is called {' or '.join(only)}")
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        own_home(Path(folder) / "home")
        whole = (given.seeds or Path(folder) / "seeds").absolute()
        whole.mkdir(exist_ok=True)
        groups = {each.group for each in chosen}
        for group in makers.GROUPS:  # in their order, with what they need
            if group in groups or (group == "basic" and groups - {"result"}):
                makers.make(group, whole)
        warm()
        return run(chosen, whole, Path(folder), given)


def warm() -> None:
    """Import what commands import, so that a fork has it."""
    for module in (
        "tests.preloaded", "PIL.ImageCms", "rich.table", "rich.progress", "stages.retarget.retarget", "c2pa",
        "stages.render_cond.render", "stages.export.glb", "stages.export.bvh", "stages.priors.readers",
        "stages.detect.keypoint_file", "stages.evaluate.evaluate", "stages.video.signing", "stages.video.watermark",
    ):  # fmt: skip
        with contextlib.suppress(ModuleNotFoundError):  # an extra
            importlib.import_module(module)


def run(chosen: list[Format], whole: Path, folder: Path, given: argparse.Namespace) -> int:
    """Run `given.count` cases over the formats in a random order, and print the tables."""
    order = [(each, number) for each in chosen for number in range(max(1, given.count // len(chosen)))]
    random.Random(given.seed).shuffle(order)
    counts: dict[str, collections.Counter] = {each.name: collections.Counter() for each in chosen}
    kinds: dict[str, list[str]] = {}
    begun = time.monotonic()
    for done, (each, number) in enumerate(order, start=1):
        ending, what = one(each, f"{given.seed} {each.name} {number}", whole, folder, given.keep)
        count = counts[each.name]
        count["tried"] += 1
        count["refused" if ending.code == 2 else "read"] += not ending.faults
        count.update(ending.faults)
        if ending.faults:
            kinds.setdefault(kind_of(ending), []).append(f"{each.name}, case {given.seed}-{number}: {what}")
        if sys.stderr.isatty() or done % 200 == 0:
            print(f"{done} of {len(order)}, {time.monotonic() - begun:.0f} s", end="\r", file=sys.stderr)
        if time.monotonic() - begun > given.seconds:
            print(f"stopped after {done} of {len(order)} cases")
            break
    print(table(counts))
    for kind, cases in sorted(kinds.items(), key=lambda item: -len(item[1])):
        print(f"{len(cases)} x {kind}\n    {cases[0]}")
    return int(bool(kinds))


def one(each: Format, name: str, whole: Path, folder: Path, keep: Path | None) -> tuple[Ending, str]:
    """One case: the damage and the command are chosen by its name."""
    chance = random.Random(name)
    data, what = each.mutation((whole / each.seed).read_bytes(), chance)
    words = chance.choice(each.commands).format(file=each.file, seeds=whole).split()
    case = folder / "case"
    for suffix in ("", "-tmp"):
        shutil.rmtree(f"{case}{suffix}", ignore_errors=True)
    for kept in (folder / "home").iterdir():  # what the case before installed
        if kept.name != "bodies":
            shutil.rmtree(kept)
    for suffix in ("-out", "-err"):
        Path(f"{case}{suffix}").unlink(missing_ok=True)
    case.mkdir()
    place(each, whole, case)
    (case / each.file).write_bytes(data)
    ending = run_case(case, each.file, words)
    said = f"{what}; emosh {' '.join(words)}"
    if keep and ending.faults:
        kept = keep / re.sub(r"[^\w.-]+", "_", name)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(case, kept, symlinks=True)
        record = {"case": said, "faults": ending.faults, "code": ending.code, "new": ending.new, "told": ending.told}
        (kept / "CASE.json").write_text(json.dumps(record, indent=1))
    return ending, said


def kind_of(ending: Ending) -> str:
    """Faults and the last line, without numbers and paths: cases of one kind have one cause."""
    lines = [line for line in ending.told.splitlines() if line.startswith("emosh: ")] or ending.told.splitlines()[-1:]
    text = re.sub(r"/\S+", "FILE", re.sub(r"\d+", "#", (lines or ["nothing said"])[-1]))[:110]
    return f"{' and '.join(ending.faults)}: {text}"


def table(counts: dict[str, collections.Counter]) -> str:
    """Markdown: a row per format, a column per ending."""
    columns = ("tried", "refused", "read", *FAULTS)
    rows = [["format", *columns], ["---", *("--:" for _ in columns)]]
    rows += [[name, *(str(count[column]) for column in columns)] for name, count in counts.items() if count["tried"]]
    total = sum(counts.values(), collections.Counter())
    rows.append(["all", *(str(total[column]) for column in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
