"""What a task's model looks at: regions of most and least attention, class by class."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np

from hipt.config.command_line import read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import ExamplesSettings
from hipt.config.tasks import INATTENTIVE
from hipt.errors import HiptError, SlideError
from hipt.layout import Results
from hipt.pictures.contact_sheets import SheetRow, contact_sheet
from hipt.pictures.drawing import RGB
from hipt.registry import version_of
from hipt.slides.slide import open_slide
from hipt.slides.squares import square
from hipt.stats.evaluation import Classified, Followed, pooled
from hipt.stats.per_unit import each_once
from hipt.store.figures import pixels, write_figure
from hipt.store.images import write_jpeg
from hipt.store.provenance import made_by
from hipt.store.shard import file_mark
from hipt.store.tables import Row, read_table
from hipt.tasks.inputs import unit_inputs
from hipt.tasks.labels.probe_items import slides_in_order
from hipt.tasks.predictions import Predictions, read_predictions
from hipt.tasks.views import TaskView, task_views

log = logging.getLogger(__name__)

STEP = "examples"

PICTURE_PX = 256
"""Side of a region's picture."""


Group = tuple[str, list[tuple[str, str]]]
"""A class or an end of risk: its name, and units with what is said of each."""


class Region(NamedTuple):
    """A region of a unit, and its share of the unit's attention."""

    slide_id: str
    number: int
    share: float
    """Against 1 / regions: 2 is twice the mean."""


def run(slides: Path, out: Path, cfg: ExamplesSettings) -> None:
    """Write the contact sheet of one task, as a picture and as the figure `examples-<task>`.

    For every class, the units that the folds which never saw them are surest of; for survival,
    those of highest and lowest risk. Of each the region of most attention, and that of least.

    Raises:
        HiptError: if no model of the task has attention, or a table is missing.
    """
    views = task_views([cfg.viewed], slides)
    view = next((candidate for candidate in views if candidate.model not in INATTENTIVE), None)
    if view is None:
        models = ", ".join(cfg.viewed.models)
        raise HiptError(f"tasks.{cfg.name}: none of its models has attention ({models}); add hipt")
    fit, results = (cfg.viewed.name, view.model, f"{cfg.viewed.fraction:g}"), Results(slides.parent)
    made = read_predictions(results.fit(*fit, "predictions.parquet"), cfg.viewed.kind)
    groups = _surest(made, view.units.classes, cfg.examples)
    rows = {row["slide_id"]: row for row in slides_in_order(slides)}

    def picture(region: Region) -> RGB:
        return _picture(region, rows[region.slide_id], results, cfg.tile.region_px)

    shown = list(_rows(groups, view, picture))
    inputs = {"predictions": file_mark(made.path), **unit_inputs(view.units, imported=False)}
    settings = settings_of(cfg) | {"model": view.model}
    drawn_by = {name: version(name) for name in ("matplotlib", "pillow")}
    provenance = made_by((STEP, version_of(STEP)), settings, inputs, drawn_by)
    sheet = contact_sheet(shown, PICTURE_PX)
    write_figure(results.figures, f"examples-{cfg.name}", sheet)
    write_jpeg(out, pixels(sheet), provenance.to_json())
    log.info("%s: %s's attention", out, view.name)


def _surest(made: Predictions, classes: Mapping[int, str], most: int) -> Iterator[Group]:
    """Per class, or end of risk, its name, and units with what is said of them."""
    predicted = pooled(made.predicted, made.fold)
    if isinstance(predicted, Classified):
        first, _, classified = each_once(predicted, made.unit)
        for kind in range(classified.p.shape[1]):
            p = classified.p[:, kind]
            order = np.argsort(-p, kind="stable")[:most]
            name = classes.get(kind, f"class {kind}")
            yield name, [(str(made.unit[first[i]]), f"p {p[i]:.2f}") for i in order]
        return
    assert isinstance(predicted, Followed)
    first, _, followed = each_once(predicted, made.unit)
    order = np.argsort(-followed.risk, kind="stable")
    for name, places in (("highest risk", order), ("lowest risk", order[::-1])):
        chosen = places[:most]
        texts = [(str(made.unit[first[i]]), f"risk rank {followed.risk[i]:.2f}") for i in chosen]
        yield name, texts


def _rows(
    groups: Iterator[Group], view: TaskView, picture: Callable[[Region], RGB]
) -> Iterator[SheetRow]:
    """Two rows per group: most attention, least attention."""
    slides = dict(zip(view.units.names, view.units.slides, strict=True))
    for name, units in groups:
        attended = [(text, _by_attention(view, slides[unit])) for unit, text in units]
        for heading, place in (("most attention", -1), ("least attention", 0)):
            regions = [(text, ordered[place]) for text, ordered in attended]
            yield SheetRow(
                heading=f"{view.name}, {name}: {heading}",
                pictures=[picture(region) for _, region in regions],
                captions=[
                    f"{shown.slide_id}\n{text}\nattention {shown.share:.2g} times mean"
                    for text, shown in regions
                ],
            )


def _by_attention(view: TaskView, slides: Sequence[str]) -> list[Region]:
    """The regions of a unit's slides, rising by attention."""
    shares = {slide_id: view.attention(slide_id) for slide_id in slides}
    regions = sum(len(share) for share in shares.values() if share is not None)
    ordered = [
        Region(slide_id, number, value * regions)
        for slide_id, share in shares.items()
        if share is not None
        for number, value in enumerate(share.tolist())
    ]
    return sorted(ordered, key=lambda region: region.share)


def _picture(region: Region, row: Row, results: Results, region_px: int) -> RGB:
    """A region; white where its slide, a row of the slide table, cannot be read any more."""
    table = read_table(results.shard("embed_regions", region.slide_id))
    x, y = (table[axis][region.number].as_py() for axis in "xy")
    side_read = round(region_px * row["read_mpp"] / row["mpp"])
    try:
        with open_slide(Path(row["path"])) as slide:
            return square(slide, x, y, side_read, PICTURE_PX)
    except SlideError as error:
        log.warning("%s: left white: %s", region.slide_id, error)
        return np.full((PICTURE_PX, PICTURE_PX, 3), 255, np.uint8)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the settings, the picture to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    parser.add_argument("--task", help="the task's name, where --cfg is a config file")
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, ExamplesSettings, args.cfg, args.task)
    run(args.slides, args.out, cfg)
