"""Snakemake's benchmark tables: time and memory of the jobs that ran."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl

from hipt.errors import HiptError
from hipt.layout import Results
from hipt.registry import EVERY_SLIDE
from hipt.store.csv_rows import read_csv

MEASURED = {"s": "seconds", "cpu_time": "cpu_seconds", "max_rss": "peak_mib"}
"""Snakemake's columns that are read, and what they are called here."""


def read_jobs(folder: Path) -> pd.DataFrame:
    """Every measured job: rule, job, seconds, cpu_seconds, peak_mib (memory held, MiB).

    A number is NaN where Snakemake could not measure it: a job that is over in a blink, or a file
    cut off when Snakemake was killed.

    Args:
        folder: holds `<rule>/<job>.tsv`.
    """
    rows: list[dict[str, str]] = []
    for path in sorted(folder.glob("*/*.tsv")):
        with suppress(HiptError):
            table = read_csv(path, set(MEASURED).issubset)
            rows += ({**row, "rule": path.parent.name, "job": path.stem} for row in table)
    jobs = pd.DataFrame(rows, columns=["rule", "job", *MEASURED])
    for column in MEASURED:
        jobs[column] = pd.to_numeric(jobs[column], errors="coerce")
    return jobs.rename(columns=MEASURED)


def per_rule(jobs: pd.DataFrame) -> pd.DataFrame:
    """What each rule took, by rule: jobs, seconds, longest_s, cpu_seconds, peak_mib.

    Seconds are summed over jobs, also over those that ran side by side.
    """
    return jobs.groupby("rule").agg(
        jobs=("job", "size"),
        seconds=("seconds", "sum"),
        longest_s=("seconds", "max"),
        cpu_seconds=("cpu_seconds", "sum"),
        peak_mib=("peak_mib", "max"),
    )


def costs(table: pl.DataFrame, results: Results) -> Iterator[dict[str, Any]]:
    """What each rule took, in the order of the steps; seconds of slides kept from earlier runs."""
    jobs = per_rule(read_jobs(results.benchmarks))
    for step in EVERY_SLIDE:
        measured = {str(k): v for k, v in jobs.loc[step].items()} if step in jobs.index else {}
        slides = table[f"seconds_{step}"]
        if measured or slides.count():
            per_slide = {"slides": slides.count(), "median_s": slides.median()}
            yield {"rule": step, **per_slide, "slide_s": slides.sum(), **measured}
