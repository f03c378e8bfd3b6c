"""Kills commands at random moments, runs them again, and prints a table of how that ended.

    python -m tests.kills --count 200 --seed 1
    python -m tests.kills --only curate --only train --count 20

Every second kill is kill -9; the others are Ctrl-C and SIGTERM. The command is run again to its end, and must leave the
bytes and files of a run that nobody disturbed. Exit code 1 if a case failed.
"""

from __future__ import annotations

import argparse
import collections
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from tests.fuzz import seeds as makers
from tests.fuzz.__main__ import warm
from tests.fuzz.home import own_home
from tests.kills.case import FAULTS, Left, killed, temporary, undisturbed
from tests.kills.commands import COMMANDS, Command

SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)


def main(words: list[str] | None = None) -> int:
    """Run the cases; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="kills, spread over the commands")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="commands or groups of that name")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this time")
    parser.add_argument("--seeds", type=Path, help="folder of whole files, made once (default: a temporary one)")
    given = parser.parse_args(words)
    wanted = set(given.only)
    chosen = [each for each in COMMANDS if not wanted or {each.name, each.group} & wanted]
    with tempfile.TemporaryDirectory(prefix="kills-") as folder:
        own_home(Path(folder) / "home")
        seeds = (given.seeds or Path(folder) / "seeds").absolute()
        seeds.mkdir(exist_ok=True)
        for group in makers.GROUPS:  # in their order, with what they need
            if group in {"basic", *(each.group for each in chosen)}:
                makers.make(group, seeds)
        warm()
        for module in ("stages.train.loop", "stages.track.track", "stages.generate.puppet.generate"):
            importlib.import_module(module)
        return run(chosen, seeds, Path(folder), given)


def run(chosen: list[Command], seeds: Path, folder: Path, given: argparse.Namespace) -> int:
    """Kill each command at `given.count / len(chosen)` moments, and print the table."""
    counts: dict[str, collections.Counter] = {each.name: collections.Counter() for each in chosen}
    failed, begun, times = [], time.monotonic(), {}
    whole: dict[str, Left] = {}
    for done in range(given.count):
        each, chance = chosen[done % len(chosen)], random.Random(f"{given.seed} {done}")
        if each.name not in whole:
            whole[each.name], times[each.name], own = reference(each, seeds, folder)
            if own:
                print(f"{each.name}: two undisturbed runs differ in {', '.join(own)}", flush=True)
        number, after = chance.choice(SIGNALS), chance.uniform(0, times[each.name])
        case = fresh(each, seeds, folder)
        ending = killed(each, seeds, case, number, after, whole[each.name])
        counts[each.name].update(["kills", number.name, *ending.faults, *["ended before"] * ending.finished])
        if ending.faults:
            failed.append(f"{each.name}, {number.name} after {after:.2f} s of {times[each.name]:.2f}: "
                          f"{' and '.join(ending.faults)}\n{ending.told}")  # fmt: skip
            print(failed[-1], flush=True)
        if time.monotonic() - begun > given.seconds:
            print(f"stopped after {done + 1} of {given.count} kills")
            break
    print(table(counts, times))
    print(f"{len(failed)} failed")
    return int(bool(failed))


def reference(command: Command, seeds: Path, folder: Path) -> tuple[Left, float, list[str]]:
    """What two undisturbed runs leave, the seconds of the second, and the files in which they differ, whose digest is
    "*" then."""
    first, _ = undisturbed(command, seeds, fresh(command, seeds, folder))
    second, seconds = undisturbed(command, seeds, fresh(command, seeds, folder))
    own = [name for name, digest in first.files.items() if second.files.get(name) != digest]
    return Left({**first.files, **dict.fromkeys(own, "*")}), seconds, own


def fresh(command: Command, seeds: Path, folder: Path) -> Path:
    """An empty folder for a case, with what the command needs in it."""
    case = folder / "case"
    for each in (case, temporary(case)):
        shutil.rmtree(each, ignore_errors=True)
        each.mkdir()
    command.place(seeds, case)
    return case


def table(counts: dict[str, collections.Counter], times: dict[str, float]) -> str:
    """Markdown: a row per command, a column per signal and fault."""
    columns = ("kills", "SIGKILL", "SIGINT", "SIGTERM", "ended before", *FAULTS)
    rows = [["command", "seconds", *columns], ["---", *("--:" for _ in ("seconds", *columns))]]
    rows += [
        [name, f"{times[name]:.1f}", *(str(count[column]) for column in columns)]
        for name, count in counts.items()
        if count["kills"]
    ]
    total = sum(counts.values(), collections.Counter())
    rows.append(["all", "", *(str(total[column]) for column in columns)])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    sys.exit(main())
