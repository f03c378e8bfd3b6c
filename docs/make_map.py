"""`make docs-map`: the house as a picture, drawn from the code's own imports and from the layers in pyproject.toml.

A room is a folder of the command line or of the stages. Each box says what the room is for and which rooms it
imports; what follows from another import is left out, and so are `artifacts` and the files beside the
folders, which nearly everything imports. Big arrows point from floor to floor: nothing imports upwards.
"""

from __future__ import annotations

import ast
import textwrap
import tomllib
from html import escape
from pathlib import Path

import grimp
import networkx

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "pictures" / "house.svg"
WIDTH, LEFT, BOX, GAP, BETWEEN = 1200, 120, 104, 12, 40
COMMAND_LINE = ("commands", "workflows", "workers")
EVERYWHERE = ("frame", "artifacts", "ground")
"""Rooms that nearly everything imports."""
FRAME, GROUND = "emosh_cli/*.py", "stages/*.py"
COLOURS = ("#f8dfda", "#dbe7f7", "#e0f0de")


def main() -> None:
    """Write the picture."""
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(picture(), encoding="utf-8")
    print(OUT.relative_to(ROOT))


def picture() -> str:
    """The house as it is now, as SVG text."""
    return drawn(floors(), imports())


def floors() -> list[tuple[str, list[list[str]]]]:
    """(title, rows of rooms) of each floor, in the order of the import contracts in pyproject.toml."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in contracts if each["name"].startswith("no stage imports another"))
    stages, *shared = [[name.strip().removeprefix("stages.") for name in layer.split("|")] for layer in layers[:-1]]
    rooms = [room for layer in shared for room in layer]
    half = (len(rooms) + 2) // 2
    return [
        ("the command\nline", [[*COMMAND_LINE, "frame"]]),
        ("stages", [stages[:5], stages[5:]]),
        ("rooms that\nstages share", [rooms[:half], [*rooms[half:], "ground"]]),
    ]


def imports() -> dict[str, list[str]]:
    """Room -> the rooms that it imports."""
    rooms = {}
    for package, beside in (("emosh_cli", "frame"), ("stages", "ground")):
        for path in sorted((ROOT / package).rglob("*.py")):
            inside = path.relative_to(ROOT / package).with_suffix("").parts
            module = ".".join((package, *inside)).removesuffix(".__init__")
            if module not in (package, "emosh_cli.app", "emosh_cli.__main__", "emosh_cli.demo"):
                rooms[module] = inside[0] if len(inside) > 1 else beside
    graph = grimp.build_graph("emosh_cli", "stages", cache_dir=None)
    arrows = networkx.DiGraph()
    for module, room in rooms.items():
        for imported in graph.find_modules_directly_imported_by(module) & set(rooms):
            if rooms[imported] != room and rooms[imported] not in EVERYWHERE and room not in EVERYWHERE:
                arrows.add_edge(room, rooms[imported])
    reduced = networkx.transitive_reduction(arrows)
    return {room: sorted(reduced.successors(room)) for room in reduced}


def about(room: str) -> str:
    """What a room says of itself in its first sentence; of the files beside the folders, their names."""
    if room in ("frame", "ground"):
        files = list((ROOT / ("emosh_cli" if room == "frame" else "stages")).glob("*.py"))
        return ", ".join(sorted(path.stem for path in files if not path.stem.startswith("__")))
    folder = ROOT / ("emosh_cli" if room in COMMAND_LINE else "stages") / room
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return " ".join(told.split()).split(". ")[0].rstrip(".")


def drawn(rows: list[tuple[str, list[list[str]]]], used: dict[str, list[str]]) -> str:
    """The picture as SVG text."""
    parts, top = [], 14.0
    for (title, floor), colour in zip(rows, COLOURS, strict=True):
        for number, line in enumerate(title.split("\n")):
            parts.append(_text(10, top + 20 + 16 * number, line, 13, "bold"))
        for row in floor:
            wide = (WIDTH - LEFT - GAP * len(row)) / len(row)
            parts += [
                box(room, used.get(room, []), LEFT + place * (wide + GAP), top, wide, colour)
                for place, room in enumerate(row)
            ]
            top += BOX + GAP
        parts.append(_down(top - GAP, BETWEEN))
        top += BETWEEN - GAP
    height = top - BETWEEN + 2 * GAP
    parts.pop()  # nothing is below the last floor
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{height:.0f}" fill="white"/>', *parts, "</svg>"]) + "\n"


def box(room: str, used: list[str], left: float, top: float, wide: float, colour: str) -> str:
    """A room with its name, what it is for, and what it imports."""
    title = {"frame": FRAME, "ground": GROUND}.get(room, f"{room}/")
    words = textwrap.wrap(about(room), int(wide / 6))
    uses = textwrap.wrap(f"imports {', '.join(used)}", int(wide / 6)) if used else []
    room_for = 6 - len(uses)
    return "\n".join([
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{wide:.0f}" height="{BOX}" rx="4" fill="{colour}" stroke="#999"/>',
        _text(left + 8, top + 18, title, 13, "bold"),
        *(_text(left + 8, top + 35 + 12.5 * row, line, 10.5) for row, line in enumerate(words[:room_for])),
        *(
            _text(left + 8, top + BOX - 8 - 12.5 * row, line, 10.5, colour="#1a4f8a")
            for row, line in enumerate(reversed(uses))
        ),
    ])  # fmt: skip


def _text(x: float, y: float, words: str, size: float, weight: str = "normal", colour: str = "#222") -> str:
    style = f'font-size="{size}" font-weight="{weight}" fill="{colour}"'
    return f'<text x="{x:.0f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def _down(top: float, tall: float) -> str:
    """A big arrow from one floor to the next."""
    middle, end = LEFT + (WIDTH - LEFT) / 2, top + tall - 6
    return (
        f'<path d="M{middle - 9:.0f} {top + 6:.0f} h18 v{tall - 26:.0f} h12 L{middle:.0f} {end:.0f} '
        f'L{middle - 21:.0f} {end - 14:.0f} h12 z" fill="#bbb"/>'
    )


if __name__ == "__main__":
    main()
