"""Tables as Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from stages.artifacts.shown_text import in_csv, in_latex, in_markdown
from stages.evaluate.tables import Cell, Figure, Table


def markdown(tables: Sequence[Table], about: Sequence[str]) -> str:
    """Markdown tables: the best value is bold, intervals are in brackets; `about` is a list under the last table."""
    parts = []
    for table in tables:
        lines = [f"## Table {table.number}. {table.title}", ""]
        heads = [f"{in_markdown(where)}: {figure.heading}" for where, figure in table.columns]
        lines.append(f"| method | {' | '.join(heads)} |")
        lines.append("|---|" + "---|" * len(table.columns))
        for name, row in table.rows:
            lines.append(
                f"| {in_markdown(name)} | "
                + " | ".join(_markdown(c, f) for c, f in _cells_with_figures(table, row))
                + " |"
            )
        for name, row in table.published:
            cells = " | ".join(_number(c, f) for c, f in _cells_with_figures(table, row))
            lines.append(f"| *{in_markdown(name)} (as published)* | {cells} |")
        parts.append("\n".join([*lines, "", *(f"- {in_markdown(note)}" for note in table.notes), ""]))
    return "\n".join([*parts, "## How", "", *(f"- {in_markdown(line)}" for line in about), ""])


def latex(tables: Sequence[Table]) -> str:
    """LaTeX tables; the document needs only \\usepackage{booktabs}."""
    parts = ["% made by emosh evaluate --table; needs \\usepackage{booktabs}"]
    for table in tables:
        arrows = {True: "$\\uparrow$", False: "$\\downarrow$"}
        heads = [
            f"{in_latex(where)}: {in_latex(figure.label)} {arrows[figure.higher]}" for where, figure in table.columns
        ]
        lines = [
            "\\begin{table}", "\\centering", f"\\caption{{{in_latex(table.title)}}}",
            f"\\begin{{tabular}}{{l{'r' * len(heads)}}}", "\\toprule",
            " & ".join(["Method", *heads]) + " \\\\", "\\midrule",
        ]  # fmt: skip
        for name, row in table.rows:
            values = [
                f"\\textbf{{{_number(c, f)}}}" if c and c.best else _number(c, f)
                for c, f in _cells_with_figures(table, row)
            ]
            lines.append(" & ".join([in_latex(name), *values]) + " \\\\")
        for name, row in table.published:
            values = [_number(c, f) for c, f in _cells_with_figures(table, row)]
            lines.append(" & ".join([f"\\textit{{{in_latex(name)}}}", *values]) + " \\\\")
        parts.append("\n".join([*lines, "\\bottomrule", "\\end{tabular}", "\\end{table}", ""]))
    return "\n".join(parts)


def comma_separated(tables: Sequence[Table]) -> str:
    """CSV with one line per cell: table, set, method, figure, value, interval, clips, best, kind."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["table", "set", "method", "figure", "value", "low_95", "high_95", "clips", "best", "kind"])
    for table in tables:
        for kind, rows in (("measured", table.rows), ("published", table.published)):
            for name, row in rows:
                for (where, figure), cell in zip(table.columns, row, strict=True):
                    if cell is not None:
                        edges = cell.interval or ("", "")
                        writer.writerow([table.number, in_csv(where), in_csv(name), figure.key, repr(cell.value),
                                         *edges, cell.clips, int(cell.best), kind])  # fmt: skip
    return out.getvalue()


def _cells_with_figures(table: Table, row: Sequence[Cell | None]) -> list[tuple[Cell | None, Figure]]:
    return [(cell, figure) for cell, (_, figure) in zip(row, table.columns, strict=True)]


def _markdown(cell: Cell | None, figure: Figure) -> str:
    value = _number(cell, figure)
    if cell is None:
        return value
    value = f"**{value}**" if cell.best else value
    if cell.interval is None:
        return value
    return f"{value} [{figure.text(cell.interval[0])}, {figure.text(cell.interval[1])}]"


def _number(cell: Cell | None, figure: Figure) -> str:
    return "-" if cell is None else figure.text(cell.value)
