"""The report page: what became of every slide, what ran on what, and what it took."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from hipt.config.command_line import read_settings, step_parser
from hipt.config.step_settings import ReportSettings
from hipt.layout import Results
from hipt.report.excerpts import write_excerpts
from hipt.report.facts import facts
from hipt.report.figures import remove_others
from hipt.report.page import write_page
from hipt.report.slide_table import read_slides

log = logging.getLogger(__name__)

STEP = "report"


def run(slides: Path, out: Path, cfg: ReportSettings) -> None:
    """Write the page, its figures beside it, and what Snakemake's report shows of both.

    Raises:
        HiptError: if a table is damaged.
    """
    results = Results(slides.parent)
    table = read_slides(slides, results)
    shown = facts(table, cfg.config, results)
    write_page(out, STEP, shown)
    remove_others(results.figures, out)
    write_excerpts(results, shown)
    log.info("%s: %d slides, %.1f MB", out, len(table), out.stat().st_size / 1e6)


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the slide table, the settings, the page to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    args = parser.parse_args(argv)
    run(args.slides, args.out, read_settings(STEP, ReportSettings, args.cfg))
