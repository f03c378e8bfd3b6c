"""The summary of a curation as one self-contained web page: counts, reasons, and a histogram of each figure."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from stages.artifacts.atomic import atomic_path
from stages.artifacts.shown_text import in_markup
from stages.curate.config import CurateConfig
from stages.curate.filters import FILTERS, Filter
from stages.curate.histogram import histogram
from stages.curate.verdicts import MEANINGS, UNREADABLE, Verdict, count_reasons

MOST_FILES = 50


def write_page(path: Path, title: str, found: Sequence[Verdict], config: CurateConfig, version: str) -> None:
    """Write the page atomically."""
    text = resources.files(__package__ or "stages.curate").joinpath("page.html").read_text(encoding="utf-8")
    parts = {
        "TITLE": in_markup(title),
        "COUNTS": _counts(found),
        "REASONS": _reasons(found),
        "FIGURES": "".join(_figure(each, found, config) for each in FILTERS),
        "FILES": _files(found),
        "FOOTER": in_markup(
            f"emosh {version}. Clips have {config.min_frames} to {config.max_frames} frames; a new shot begins at a "
            f"score of {config.cut_score:g} or more. To try another threshold, run the same command again with --set; "
            "what is already measured is not measured again."
        ),
    }
    for name, value in parts.items():
        text = text.replace(f"<!--{name}-->", value)
    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def _counts(found: Sequence[Verdict]) -> str:
    kept = [each for each in found if not each.reasons]
    minutes = sum(float(each.line.frames / each.line.fps) for each in kept) / 60
    counts = {
        "videos": len({each.line.source for each in found}),
        "windows": sum(each.line.frames > 0 and "short" not in each.words for each in found),
        "clips accepted": len(kept),
        "frames accepted": sum(each.line.frames for each in kept),
        "minutes accepted": f"{minutes:.1f}",
    }
    return "".join(f"<div><dt>{in_markup(name)}</dt><dd>{value}</dd></div>" for name, value in counts.items())


def _reasons(found: Sequence[Verdict]) -> str:
    counts = count_reasons(found)
    if not counts:
        return "<p>No window was rejected.</p>"
    rows = "".join(
        f'<tr><td class="count">{count}</td><td><code>{in_markup(word)}</code></td>'
        f"<td>{in_markup(MEANINGS.get(word, ''))}</td></tr>"
        for word, count in counts.items()
    )
    table = f"<table><tr><th>windows</th><th>reason</th><th>meaning</th></tr>{rows}</table>"
    return f"{table}<p>A window may have several reasons.</p>"


def _figure(each: Filter, found: Sequence[Verdict], config: CurateConfig) -> str:
    values = [(verdict.line.figures[each.figure], verdict) for verdict in found if each.figure in verdict.line.figures]
    if not each.tracked:
        values = [(value, verdict) for value, verdict in values if "short" not in verdict.words]
    kept = [value for value, verdict in values if not verdict.reasons]
    gone = [value for value, verdict in values if verdict.reasons]
    fail = sum(not each.passes(value, config) for value, _ in values)
    drawn = histogram(kept, gone, each.limit(config), each.most, each.figure.endswith("_share"))
    return (
        f"<figure><figcaption><code>{each.figure}</code> <span>{in_markup(each.meaning)}; "
        f"{fail} of {len(values)} rejected by <code>{each.setting}</code></span></figcaption>{drawn}</figure>"
    )


def _files(found: Sequence[Verdict]) -> str:
    bad = [each for each in found if UNREADABLE in each.words]
    if not bad:
        return ""
    rows = "".join(
        f"<tr><td>{in_markup(str(each.line.video))}</td><td>{in_markup(each.line.reason or '')}</td></tr>"
        for each in bad[:MOST_FILES]
    )
    more = f"<p>{len(bad) - MOST_FILES} more are listed in the manifest.</p>" if len(bad) > MOST_FILES else ""
    return f"<h2>Files that could not be read</h2><table>{rows}</table>{more}"
