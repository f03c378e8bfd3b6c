"""Make docs/benchmarks.md from the results: an index, then each table with its command, date, commit and machine.

python -m benchmarks.page
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.record import HOME, RESULTS, Result, header, line, read

PAGE = HOME.parent / "docs" / "benchmarks.md"
NEEDS_GPU = {
    "gpu_generate": "Wan-Animate's 14B shapes beside diffusers' pipeline: seconds per step, share of the card's matrix "
    "rate, memory beside the plan",
    "gpu_train recipe": "seconds per sample and peak memory of the 14B recipe, beside what the plan says",
    "gpu_train learn WORK": "a small model and its VAE trained from nothing, judged as in `learning`",
}
"""What has no result without a GPU, and what it measures."""
HEAD = """# Benchmarks

Made by `python -m benchmarks.page` from the files in `benchmarks/results`; do not edit this page. Each benchmark writes
its own file when it is run with `--write`. The machine often runs other work at the same time, so ratios are worth more
than seconds. Clips d1 to d9 and photos p1 to p9 are not part of this repository; any clip of a person will do. The
commit is the last one that changed `stages` or `emosh_cli`; "+" means that files were changed after it.
"""


def page(results: list[Result]) -> str:
    """The whole page."""
    lines = [HEAD, "| benchmark | what is measured | command | date |", "|---|---|---|---|"]
    lines += [f"| [{each.name}](#{each.name}) | {each.what} | `python -m benchmarks.{script(each)}` | {each.date} |"
              for each in results]  # fmt: skip
    missing = {
        name: what
        for name, what in NEEDS_GPU.items()
        if not any(f"benchmarks.{name.removesuffix(' WORK')}" in each.command for each in results)
    }
    if missing:
        lines += ["", "Not run yet, because they need a GPU:", ""]
        lines += [f"- `python -m benchmarks.{name}`: {what}." for name, what in missing.items()]
    for result in results:
        lines += ["", *section(result)]
    return "\n".join(lines) + "\n"


def script(result: Result) -> str:
    """The module that made it."""
    return result.command.partition("python -m benchmarks.")[2].split()[0]


def section(result: Result) -> Iterator[str]:
    """One benchmark."""
    yield from (f"## {result.name}", "", result.what, "", "```", result.command, "```", "")
    yield from header(result.columns)
    yield from (line(result.columns, row) for row in result.rows)
    for picture in result.pictures:
        yield from ("", f"![{picture['caption']}](pictures/{picture['file']})", "", picture["caption"])
    if result.notes:
        yield from ("", *(f"- {note}" for note in result.notes))
    took = f"{result.wall_seconds:,.0f} seconds. " if result.wall_seconds else ""
    yield from ("", f"{result.date}, commit {result.commit}. {took}Machine: {machine(result.machine)}.")


def machine(found: dict) -> str:
    """In one line; what is not known is left out."""
    words = [found["processor"], f"{found['cores']} cores"]
    if found.get("memory_gb"):
        words.append(f"{found['memory_gb']} GB")
    words.append(found["gpu"] or "no GPU")
    return ", ".join(words + [f"{key} {found[key]}" for key in ("python", "numpy", "torch") if found.get(key)])


def read_all(folder: Path = RESULTS) -> list[Result]:
    """Every result, by name."""
    return [read(path) for path in sorted(folder.glob("*.json"))]


def main() -> None:
    """Write the page."""
    PAGE.write_text(page(read_all()), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
