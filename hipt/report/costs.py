"""Snakemake's benchmark tables: time and memory of the jobs that ran."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pandas as pd

from hipt.errors import HiptError
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
