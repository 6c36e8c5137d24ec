"""Snakemake's benchmark tables, damaged ones too."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.report.costs import per_rule, read_jobs

HEAD = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"


def write(folder: Path, rule: str, job: str, text: str) -> None:
    (folder / rule).mkdir(exist_ok=True)
    (folder / rule / f"{job}.tsv").write_text(text)


def test_jobs_are_summed_per_rule(tmp_path: Path):
    write(tmp_path, "tile", "b0000", HEAD + "2.5\t0:00:02\t120.5\t1\t1\t1\t0\t0\t90\t2.0\n")
    write(tmp_path, "tile", "b0001", HEAD + "4.5\t0:00:04\t80.0\t1\t1\t1\t0\t0\t90\t3.0\n")
    write(tmp_path, "segment", "b0000", HEAD + "1\t0:00:01\t10\t1\t1\t1\t0\t0\t90\t1\n")
    rules = per_rule(read_jobs(tmp_path))
    assert rules.loc["tile"].to_dict() == {
        "jobs": 2,
        "seconds": 7.0,
        "longest_s": 4.5,
        "cpu_seconds": 5.0,
        "peak_mib": 120.5,
    }
    assert rules.loc["segment", "jobs"] == 1


@pytest.mark.parametrize("text", ["", HEAD, HEAD + "1.5\t0:00", HEAD + "1.5\t0:00:01\tNA\tNA\n"])
def test_what_snakemake_could_not_measure_is_not_a_number(tmp_path: Path, text: str):
    write(tmp_path, "tile", "b0000", text)
    jobs = read_jobs(tmp_path)
    assert len(jobs) == (text not in ("", HEAD))
    assert jobs["peak_mib"].isna().all()


def test_nothing_measured_is_an_empty_table(tmp_path: Path):
    assert per_rule(read_jobs(tmp_path / "not there")).empty
