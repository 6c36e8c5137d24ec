"""Draw the rooms of hipt/, and which of them import which, from the code."""

from __future__ import annotations

import ast
from pathlib import Path
from textwrap import wrap

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from hipt.pictures.figure import COLOURS, new_figure, style, svg_text

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hipt"
PICTURE = "docs/pictures/rooms.svg"
BESIDE = {"demo"}
"""Rooms that no other imports."""
WIDTH, HEIGHT = 0.92, 0.66  # of a box, in cells of the picture
FONT = "DejaVu Sans"
"""Comes with matplotlib, so that the picture does not depend on what is installed beside it."""

Arrows = dict[str, set[str]]


def rooms() -> dict[str, str]:
    """What lives in each room, by its name: the first line of its package's docstring."""
    files = sorted(PACKAGE.glob("*/__init__.py"))
    found = {file.parent.name: ast.get_docstring(ast.parse(file.read_text())) for file in files}
    return {name: (text or "").split("\n")[0] for name, text in found.items() if name not in BESIDE}


def arrows() -> Arrows:
    """The rooms that each room imports."""
    names = rooms()
    found: Arrows = {name: set() for name in names}
    for name in names:
        for file in (PACKAGE / name).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hipt."):
                    found[name].add(str(node.module).split(".")[1])
    return {name: targets & names.keys() - {name} for name, targets in found.items()}


def direct(found: Arrows) -> Arrows:
    """The arrows that do not follow from others."""

    def reached(name: str) -> set[str]:
        return found[name].union(*map(reached, found[name]))

    return {name: targets - set().union(*map(reached, targets)) for name, targets in found.items()}


def floors(found: Arrows) -> list[list[str]]:
    """The rooms from the lowest floor up: each lies above all that it imports."""
    level: dict[str, int] = {}

    def level_of(name: str) -> int:
        if name not in level:
            level[name] = 1 + max(map(level_of, found[name]), default=-1)
        return level[name]

    top = max(map(level_of, found))
    return [sorted(name for name in found if level[name] == floor) for floor in range(top + 1)]


def drawn() -> str:
    """The picture as SVG."""
    found, said = arrows(), rooms()
    levels = floors(found)
    widest = max(map(len, levels))
    place = {
        name: (column + (widest - len(names)) / 2, floor)
        for floor, names in enumerate(levels)
        for column, name in enumerate(names)
    }
    with style(), mpl.rc_context({"font.family": FONT}):
        figure = new_figure(46 * widest, 22 * len(levels))
        figure.set_layout_engine("none")
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(-0.5, widest + 0.5), ylim=(-0.1, len(levels)))
        axes.axis("off")
        for name, targets in direct(found).items():
            for target in sorted(targets):
                _arrow(axes, place[name], place[target], (widest - 1) / 2)
        for name, (x, y) in place.items():
            _box(axes, x, y, name, said[name])
    return svg_text(figure, "rooms")


def _box(axes: Axes, x: float, y: float, name: str, text: str) -> None:
    """A room with its name and what lives in it."""
    left, low = x + (1 - WIDTH) / 2, y + (1 - HEIGHT) / 2
    box = FancyBboxPatch((left, low), WIDTH, HEIGHT, boxstyle="round,pad=0,rounding_size=0.05")
    box.set(facecolor="#f4f7fa", edgecolor=COLOURS[0], linewidth=0.8)
    axes.add_patch(box)
    axes.text(x + 0.5, y + 0.68, f"{name}/", ha="center", va="center", weight="bold")
    lines = "\n".join(wrap(text, 30))
    axes.text(x + 0.5, y + 0.4, lines, ha="center", va="center", fontsize=5.5)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], middle: float) -> None:
    """To the next floor straight down; past other floors along the side that is nearer."""
    if start[1] - end[1] <= 1:
        places = [(start[0] + 0.5, start[1] + 0.17), (end[0] + 0.5, end[1] + 0.83)]
        bend = "arc3"
    else:
        right = (start[0] + end[0]) / 2 >= middle
        edge = 1 - (1 - WIDTH) / 2 if right else (1 - WIDTH) / 2
        places = [(start[0] + edge, start[1] + 0.5), (end[0] + edge, end[1] + 0.6)]
        bend = f"arc3,rad={-0.35 if right else 0.35}"
    arrow = FancyArrowPatch(
        *places, arrowstyle="-|>", connectionstyle=bend, mutation_scale=6, shrinkA=0, shrinkB=0
    )
    arrow.set(color="#5f6f80", linewidth=0.7)
    axes.add_patch(arrow)
