"""Draws the tables of bench_reading.py --model: every way's patches per second, slide by slide.

python benchmarks/bench_reading.py SLIDE... --threads 1 --model > reading.md
python benchmarks/dots.py reading.md docs/pictures/speed.svg
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from curves import decades, powers, text

WAYS = {
    "e": ("bare model", "#616161"),
    "a": ("the usual way to read", "#c0392b"),
    "b": ("hipt through OpenSlide", "#b9770e"),
    "c": ("hipt, tiles decoded directly", "#1b6ca8"),
    "d": ("bare decoder", "#2e7d32"),
}
LEFT, TOP, WIDTH, ROW = 250, 54, 520, 30
LOW, HIGH = 5.0, 10_000.0

Rates = dict[str, dict[str, float]]


def rates(lines: list[str], threads: str) -> Rates:
    """Slide by slide, each way's rate, of all tables in some lines."""
    found: Rates = {}
    head: list[str] = []
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|\n").split("|")]
        if cells[0] == "slide":
            head = cells
        elif len(cells) == len(head) and not cells[0].startswith("-"):
            row = dict(zip(head, cells, strict=True))
            if row["threads"] == threads:
                known = {way: float(row[way].split()[0]) for way in WAYS if way in row}
                found.setdefault(row["slide"], {}).update(known)
    return found


def drawn(found: Rates, threads: str) -> Iterator[str]:
    """The picture's parts."""
    across, height = powers(LOW, HIGH, WIDTH), ROW * len(found)
    x = 10.0
    for said, colour in WAYS.values():
        yield f'<circle cx="{x:.0f}" cy="16" r="5" fill="{colour}"/>'
        yield text(x + 9, 20, said)
        x += 30 + 6.6 * len(said)
    for value in decades(LOW, HIGH):
        at = LEFT + across(value)
        yield f'<path class="grid" d="M{at:.1f} {TOP - 8}v{height}"/>'
        yield text(at, TOP + height + 10, f"{value:,g}", 'text-anchor="middle"')
    said = f"patches per second, {threads} thread" + ("" if threads == "1" else "s")
    yield text(LEFT + WIDTH / 2, TOP + height + 28, said, 'text-anchor="middle"')
    for number, (slide, known) in enumerate(found.items()):
        y = TOP + ROW * (number + 0.3)
        ends = [LEFT + across(value) for value in (min(known.values()), max(known.values()))]
        yield text(LEFT - 12, y + 4, slide, 'text-anchor="end"')
        yield f'<path class="row" d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}"/>'
        for way, (_, colour) in WAYS.items():
            if way in known:
                at = LEFT + across(known[way])
                tip = f"<title>{known[way]:,g}</title>"
                yield f'<circle cx="{at:.1f}" cy="{y:.1f}" r="6" fill="{colour}">{tip}</circle>'


def main() -> None:
    """Draw a file of tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument("tables", type=Path, help="what bench_reading.py printed")
    parser.add_argument("picture", type=Path)
    parser.add_argument("--threads", default="1", help="rows that are drawn")
    args = parser.parse_args()
    found = rates(args.tables.read_text().splitlines(), args.threads)
    size = f"{LEFT + WIDTH + 30} {TOP + ROW * len(found) + 40}"
    style = "text{font:12px sans-serif}path{fill:none}.grid{stroke:#ddd}.row{stroke:#bbb}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}"><style>{style}</style>'
    parts = [head, '<rect width="100%" height="100%" fill="#fff"/>', *drawn(found, args.threads)]
    args.picture.write_text("\n".join([*parts, "</svg>\n"]), encoding="utf-8")


if __name__ == "__main__":
    main()
