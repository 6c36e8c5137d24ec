"""The report page: what became of every slide, what ran on what, and what it took."""

from __future__ import annotations

import logging
import platform
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import yaml

from hipt import __version__
from hipt.cohort.batch_run import read_index, read_seconds
from hipt.config.command_line import read_settings, step_parser
from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings
from hipt.embedding.precisions import COLUMNS as PRECISIONS
from hipt.embedding.precisions import counted, in_words
from hipt.embedding.recorded_input import recorded_text
from hipt.errors import STATUSES, TROUBLE, HiptError, Status
from hipt.layout import Results
from hipt.registry import COMMANDS, EVERY_SLIDE
from hipt.report.attention import attention
from hipt.report.cohort import distributions, histograms, totals
from hipt.report.costs import per_rule, read_jobs
from hipt.report.neighbours import neighbours
from hipt.report.overviews import overview
from hipt.report.page import write_page
from hipt.report.tasks import tasks
from hipt.report.training import trainings
from hipt.store.schemas import PROBE, SLIDES
from hipt.store.shard import read_provenance
from hipt.store.tables import read_table

log = logging.getLogger(__name__)

STEP = "report"

PICTURE_PX = 400
"""Longest side of a picture in the page."""

LISTED = 25
"""Most slides that are listed per status; the table has all of them."""

SOFTWARE = (
    *("torch", "timm", "openslide-python", "openslide-bin", "snakemake", "numpy", "scikit-image"),
    *("opencv-python-headless", "pyarrow", "polars", "pandas"),
)
"""Packages whose versions the page names."""

MEANING: Mapping[Status, str] = {
    "ok": "in order: went through every step",
    "missing": "there is no file where the sheet says",
    "unreadable": "not a slide, cut off, or not allowed to be read",
    "no_mpp": "nothing says how many µm a pixel has",
    "too_coarse": "its finest level is coarser than the wanted resolution; nothing is enlarged",
    "no_tissue": "no tissue was found on it",
    "damaged": "too many of its tissue patches cannot be decoded",
    "failed": "something that nobody foresaw ended its work",
    "excluded": "left out by the sheet",
}

ADVICE: Mapping[Status, str] = {
    "missing": "Mend the path in the sheet, or see whether the disk is mounted.",
    "unreadable": "Try it in a viewer; copy it again from the scanner or the archive.",
    "no_mpp": "Fill in the sheet's column mpp, or set slides.default_mpp.",
    "too_coarse": "Take a finer scan, or set a coarser mpp for the whole run.",
    "damaged": "Copy it again; to accept the loss, raise embed.patches.max_unreadable.",
    "failed": "Mend what the reason names, and run the command that it ends with. Where it names a "
    "traceback, nobody foresaw this: send that file to hipt's issues.",
    "no_tissue": "Look at its picture below. If there is tissue on it, name a mask in the sheet's "
    "column mask, or lower segment.min_tissue_mm2.",
}
"""What to do about a slide that ended so; in the order in which they are listed."""

ONE_PRECISION = (
    "To have all slides in one, name it in embed.precision; embed.mixed_precision: refuse makes a "
    "mixture an error."
)

SHOWN = ("slide_id", "status", "regions", "tissue_mm2")
"""What is said of a slide below its picture."""

LOOKED_AT = ("slide_id", "case_id", "content", "path", "mpp", "read_mpp")
"""What has to be known of a slide to show parts of it: of every slide, so nothing else."""

COLUMNS = (
    ("slide_id", "Slide", "text", True),
    ("case_id", "Case", "text", True),
    ("site", "Site", "text", True),
    ("status", "Status", "text", True),
    ("reason", "Reason", "text", True),
    ("note", "Remark", "text", True),
    ("tissue_mm2", "Tissue, mm²", "number", True),
    ("tissue_fraction", "Tissue, share of slide", "share", False),
    ("tissue_in_regions", "Tissue in regions", "share", True),
    ("regions", "Regions", "count", True),
    ("patches", "Patches", "count", False),
    ("tissue_patches", "Tissue patches", "count", True),
    ("unreadable_patches", "Unreadable patches", "count", True),
    ("mpp", "µm/px", "number", True),
    ("mpp_source", "µm/px from", "text", False),
    ("objective", "Objective", "number", False),
    ("vendor", "Vendor", "text", True),
    ("width_px", "Width, px", "count", False),
    ("height_px", "Height, px", "count", False),
    ("levels", "Levels", "count", False),
    ("read_level", "Read level", "count", False),
    ("downsample", "Downsample", "number", False),
    ("read_mpp", "Read µm/px", "number", False),
    ("precision", "Precision", "text", False),
    ("region_precision", "Precision of regions", "text", False),
    *((f"seconds_{step}", f"{step}, s", "number", False) for step in EVERY_SLIDE),
    ("batch", "Batch", "text", False),
    ("path", "File", "text", False),
)
"""The table's columns: name, heading, kind, and whether it is shown from the start."""


def run(slides: Path, out: Path, cfg: ReportSettings) -> None:
    """Write the page."""
    results, config = Results(slides.parent), cfg.config
    table = _read(slides, results)
    available, fine = _available(table, results), _in_order(table)
    pictures = list(_pictures(available[: config.report.overviews]))
    facts = {
        "title": config.report.title,
        "made": f"{datetime.now(UTC):%-d %B %Y, %H:%M} UTC",
        "statuses": list(_statuses(table)),
        "concerns": [*_concerns(table), *_unmapped(table, config, results)],
        "cohort": totals(table),
        "distributions": list(distributions(table)),
        "histograms": list(histograms(table)),
        "table": _table(table),
        "pictures": pictures,
        "available": len(available),
        "trainings": list(trainings(config, results)),
        "neighbours": list(neighbours(fine, results, config.tile)),
        "probes": list(_probes(results, config)),
        "tasks": list(tasks(config, results)),
        "attention": attention(fine, config, results),
        "encoders": list(_encoders(table, results, config)),
        "software": _software(),
        "steps": {name: step.version for name, step in COMMANDS.items() if step.version},
        "costs": list(_costs(table, results)),
        "config": yaml.safe_dump(config.model_dump(), sort_keys=False, allow_unicode=True),
    }
    write_page(out, STEP, facts)
    log.info("%s: %d slides, %.1f MB", out, len(table), out.stat().st_size / 1e6)


def _read(path: Path, results: Results) -> pl.DataFrame:
    """The slide table, with the seconds of every step."""
    table = pl.from_arrow(read_table(path, SLIDES))
    assert isinstance(table, pl.DataFrame)
    batches = table["batch"].unique(maintain_order=True)
    for step in EVERY_SLIDE:
        seconds: dict[str, float] = {}
        for batch in batches:
            seconds |= read_seconds(results.seconds(step, batch))
        spent = pl.Series(f"seconds_{step}", map(seconds.get, table["slide_id"]), pl.Float64)
        table = table.with_columns(spent)
    return table.with_columns(cs.float().fill_nan(None))


def _statuses(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """How many slides ended how."""
    counts = Counter(table["status"])
    for status in STATUSES:
        if counts[status]:
            facts = {"status": status, "slides": counts[status], "meaning": MEANING[status]}
            yield facts | {"trouble": status in TROUBLE}


def _concerns(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Slides that somebody should look at: status by status, then those with remarks."""
    for status, advice in ADVICE.items():
        said = table.filter(status=status).select("slide_id", text="reason")
        if len(said):
            yield _concern(status, advice, said)
    yield from _mixed_precisions(table)
    said = table.filter(pl.col("note") != "").select("slide_id", text="note")
    if len(said):
        yield _concern("remarks", "These slides went on; see whether it is as you want it.", said)


def _mixed_precisions(table: pl.DataFrame) -> Iterator[dict[str, Any]]:
    """Slides whose vectors were made in another precision than most."""
    fine = table.filter(status="ok")
    for column, what in PRECISIONS.items():
        counts = counted(fine[column])
        if len(counts) > 1:
            others = fine.filter(pl.col(column) != next(iter(counts)))
            advice = f"{in_words(counts)}: they differ by bf16's rounding. {ONE_PRECISION}"
            said = others.select("slide_id", text=column)
            yield _concern(f"{what} in another precision", advice, said)


def _unmapped(table: pl.DataFrame, config: Config, results: Results) -> Iterator[dict[str, Any]]:
    """Slides in order whose heatmaps could not be made."""
    folder = results.root / "attend" / "index"
    rows = (row for path in sorted(folder.glob("*.parquet")) for row in read_index(path))
    lost = {row["slide_id"]: row["reason"] for row in rows if row["status"] in TROUBLE}
    fine = set(table.filter(status="ok")["slide_id"]) if config.attend.slides else set()
    said = [(slide_id, reason) for slide_id, reason in lost.items() if slide_id in fine]
    if said:
        text = pl.DataFrame(said, ["slide_id", "text"], orient="row")
        yield _concern("heatmaps failed", ADVICE["failed"], text)


def _concern(name: str, advice: str, said: pl.DataFrame) -> dict[str, Any]:
    """One group of slides, the first of them listed."""
    listed = said.head(LISTED).to_dicts()
    return {"name": name, "advice": advice, "slides": len(said), "listed": listed}


def _table(table: pl.DataFrame) -> dict[str, Any]:
    """The table for the script: columns with all of their values."""
    columns = [
        {
            "name": name,
            "label": label,
            "kind": kind,
            "shown": shown and _telling(table, name),
            "values": table[name].to_list(),
        }
        for name, label, kind, shown in COLUMNS
    ]
    return {"columns": columns, "trouble": sorted(TROUBLE)}


def _telling(table: pl.DataFrame, name: str) -> bool:
    """Whether a column says anything that the slide's id does not."""
    if name == "case_id":
        return not table["case_id"].equals(table["slide_id"], check_names=False)
    return not table[name].is_null().all() and not table[name].cast(pl.String).eq("").all()


def _available(table: pl.DataFrame, results: Results) -> list[tuple[dict[str, Any], Path]]:
    """Slides that have an overview, and it: troubled ones first, then those with most regions."""
    steps = ("tile", "segment")
    there = {step: {path.name for path in (results.root / step).glob("*.jpg")} for step in steps}
    order = table.filter(pl.col("tissue_mm2").is_not_null()).sort(
        pl.col("status").is_in(list(TROUBLE)),
        pl.col("status") != "ok",
        pl.col("note") != "",
        pl.col("regions").fill_null(0),
        descending=True,
        maintain_order=True,
    )
    found = []
    for row in order.select(SHOWN).iter_rows(named=True):
        for step in steps[1:] if row["regions"] is None else steps:
            path = results.overview(step, row["slide_id"])
            if path.name in there[step]:
                found.append((row, path))
                break
    return found


def _pictures(available: Sequence[tuple[dict[str, Any], Path]]) -> Iterator[dict[str, Any]]:
    """The overviews, made small; one that cannot be read is named in the log."""
    for row, path in available:
        if shown := overview(path, PICTURE_PX):
            yield row | shown


def _in_order(table: pl.DataFrame) -> list[dict[str, Any]]:
    """The slides that went through every step, case by case."""
    return table.filter(status="ok").sort("case_id", "slide_id").select(LOOKED_AT).to_dicts()


def _probes(results: Results, config: Config) -> Iterator[dict[str, Any]]:
    """What the features know, by level and task; nothing if nobody asked."""
    asked = config.probe.labels or config.probe.column
    if not asked or not results.probe.exists():
        return
    table = pl.from_arrow(read_table(results.probe, PROBE))
    assert isinstance(table, pl.DataFrame)
    for part in table.partition_by("level", "task", maintain_order=True):
        yield {**part.row(0, named=True), "rows": part.to_dicts()}


def _encoders(table: pl.DataFrame, results: Results, config: Config) -> Iterator[dict[str, Any]]:
    """Which weights ran on what, per stage, as one slide's file of every batch records it."""
    named = {
        "embed_patches": config.embed.patches.weights,
        "embed_regions": config.embed.regions.weights,
    }
    samples = table.filter(status="ok").unique("batch", keep="first", maintain_order=True)
    for step, file in named.items():
        paths = (results.shard(step, slide_id) for slide_id in samples["slide_id"])
        made = Counter(found for path in paths if (found := _made_with(path)))
        for (weights, software), batches in made.most_common():
            kind, _, which = weights.rpartition(":")
            named = {"random": f"random, seed {which}", "imported": f"imported: {which}"}
            named["code"] = f"of own code: {which}"
            yield {
                "step": step,
                "name": named.get(kind, Path(file or "").name),
                "random": kind == "random",
                "sha256": "" if kind else weights,
                "software": software,
                "batches": batches,
            }


def _made_with(shard: Path) -> tuple[str, str] | None:
    """A shard's weights, what they ran on and took; None if it is not there or damaged."""
    try:
        made = read_provenance(shard)
    except HiptError:
        return None
    software = [f"{k} {v}" for k, v in made.software.items()]
    taken = recorded_text(made.settings, made.facts.get("contract", {}))
    return str(made.inputs.get("weights", "")), ", ".join([*software, *([taken] if taken else [])])


def _software() -> dict[str, str]:
    """Versions of what the page was made with."""
    found = {"hipt": __version__, "Python": platform.python_version()}
    for name in SOFTWARE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # conda names some packages otherwise
    return found


def _costs(table: pl.DataFrame, results: Results) -> Iterator[dict[str, Any]]:
    """What each rule took, in the order of the steps; seconds of slides kept from earlier runs."""
    jobs = per_rule(read_jobs(results.benchmarks))
    for step in EVERY_SLIDE:
        measured = {str(k): v for k, v in jobs.loc[step].items()} if step in jobs.index else {}
        slides = table[f"seconds_{step}"]
        if measured or slides.count():
            per_slide = {"slides": slides.count(), "median_s": slides.median()}
            yield {"rule": step, **per_slide, "slide_s": slides.sum(), **measured}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the settings, the page to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    args = parser.parse_args(argv)
    run(args.slides, args.out, read_settings(STEP, ReportSettings, args.cfg))
