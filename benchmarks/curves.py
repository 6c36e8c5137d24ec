"""Draws the numbers of bench_scale.py: seconds and memory against slides, both axes in powers.

python benchmarks/curves.py scale.json docs/pictures/scale.svg
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

WIDTH, HEIGHT, LEFT, TOP = 300, 340, 46, 34
LABELS = 225
"""Space for the names at the right of a panel."""

LINE_PX = 11.5
"""Least distance between two names."""

COLOURS = ("#1b6ca8", "#c0392b", "#2e7d32", "#8e5ea2", "#b9770e", "#00838f", "#5d4037", "#616161")
PANELS = (("cpu_s", "CPU seconds", 0.5), ("peak_mib", "peak memory, MiB", 100.0))

Point = tuple[float, float]


def powers(low: float, high: float, pixels: float) -> Callable[[float], float]:
    """Numbers as pixels, by their logarithms."""
    return lambda value: pixels * math.log(value / low) / math.log(high / low)


def decades(low: float, high: float) -> list[float]:
    """The powers of ten inside a range."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high))
    return [10.0**power for power in range(first, last + 1)]


def apart(ends: Sequence[float], gap: float) -> list[float]:
    """Heights of names, moved down until they do not overlap, then up where they left the panel."""
    order = sorted(range(len(ends)), key=ends.__getitem__)
    placed = list(ends)
    for before, now in itertools.pairwise(order):
        placed[now] = max(placed[now], placed[before] + gap)
    limit = HEIGHT + TOP + 10
    for now in reversed(order):
        placed[now] = min(placed[now], limit)
        limit = placed[now] - gap
    return placed


def text(x: float, y: float, said: str, more: str = "") -> str:
    """A text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{said}</text>'


def panel(told: Sequence[dict[str, Any]], kind: str, title: str, low: float) -> Iterator[str]:
    """One panel, its names included."""
    slides = [one["slides"] for one in told]
    high = 1.4 * max(used[kind] for one in told for used in one["used"].values())
    across, up = powers(slides[0], slides[-1], WIDTH), powers(low, high, HEIGHT)

    def place(x: float, y: float) -> Point:
        return LEFT + across(x), TOP + HEIGHT - up(max(y, low))

    yield text(LEFT, TOP - 14, f"{title}; dotted: as the cohort", 'font-weight="bold"')
    for value in decades(low, high):
        y = place(slides[0], value)[1]
        yield f'<path class="grid" d="M{LEFT} {y:.1f}h{WIDTH}"/>'
        yield text(LEFT - 6, y + 4, f"{value:,g}", 'text-anchor="end"')
    for count in slides:
        x = place(count, low)[0]
        yield f'<path class="grid" d="M{x:.1f} {TOP}v{HEIGHT}"/>'
        yield text(x, TOP + HEIGHT + 16, f"{count:,}", 'text-anchor="middle"')
    yield text(LEFT + WIDTH / 2, TOP + HEIGHT + 32, "slides", 'text-anchor="middle"')
    for start in decades(low, high):  # lines along which a number grows with the cohort
        if start * slides[-1] / slides[0] < high * 10:
            (x0, y0), (x1, y1) = (
                place(slides[0], start),
                place(slides[-1], start * slides[-1] / slides[0]),
            )
            yield f'<path class="guide" d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}"/>'
    names = list(told[0]["used"])
    lines = [[place(one["slides"], one["used"][name][kind]) for one in told] for name in names]
    heights = apart([line[-1][1] for line in lines], LINE_PX)
    for number, (name, line, height) in enumerate(zip(names, lines, heights, strict=True)):
        colour, dash = COLOURS[number % len(COLOURS)], ("", "5 3", "2 2")[number // len(COLOURS)]
        points = "L".join(f"{x:.1f} {y:.1f}" for x, y in line)
        style = f'stroke="{colour}" stroke-dasharray="{dash}"'
        x, y = line[-1]
        yield f'<path class="line" {style} d="M{points}"/>'
        yield f'<path class="lead" stroke="{colour}" d="M{x:.1f} {y:.1f}l12 {height - y:.1f}"/>'
        value = told[-1]["used"][name][kind]
        yield text(
            x + 15, height + 4, f"{name}: {value:,.{0 if value >= 100 else 1}f}", f'fill="{colour}"'
        )


def picture(told: Sequence[dict[str, Any]]) -> str:
    """Both panels, side by side."""
    step = LEFT + WIDTH + LABELS
    size = f"{2 * step} {TOP + HEIGHT + 44}"
    style = (
        "text{font:11px sans-serif}path{fill:none}.grid{stroke:#ddd}.line{stroke-width:1.6}"
        ".lead{stroke-width:.6}.guide{stroke:#999;stroke-dasharray:1 4}"
    )
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{style}</style>']
    parts.append(f'<clipPath id="c"><rect x="{LEFT}" y="{TOP}" width="{WIDTH}" height="{HEIGHT}"/>')
    parts.append('</clipPath><rect width="100%" height="100%" fill="#fff"/>')
    for number, (kind, title, low) in enumerate(PANELS):
        drawn = "\n".join(panel(told, kind, title, low))
        drawn = drawn.replace('class="guide"', 'class="guide" clip-path="url(#c)"')
        parts.append(f'<g transform="translate({number * step} 0)">{drawn}</g>')
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Draw a file of numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("numbers", type=Path, help="what bench_scale.py --json wrote")
    parser.add_argument("picture", type=Path)
    args = parser.parse_args()
    args.picture.write_text(picture(json.loads(args.numbers.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
