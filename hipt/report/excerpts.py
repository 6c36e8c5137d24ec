"""Parts of the page as files of their own, which Snakemake's report shows one by one.

It shows pictures and pages, no Parquet; and of a folder what matches a pattern, so that neither
slides nor figures are outputs that are planned. Each lies in `<category>/<subject>/<name>`.
"""

from __future__ import annotations

import base64
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hipt.layout import Results
from hipt.report.page import write_plain
from hipt.store.whole import whole

COHORT = "cohort"
"""The subject of what is of all slides."""


def write_excerpts(results: Results, facts: Mapping[str, Any]) -> None:
    """Write them anew, in place of those that an earlier run wrote.

    Args:
        results: their folder is the report's own; the page's figures are written already.
        facts: what the page shows.
    """
    shutil.rmtree(results.excerpts, ignore_errors=True)
    columns = [column for column in facts["table"]["columns"] if column["shown"]]
    rows = zip(*(column["values"] for column in columns), strict=True)
    table = {"title": "Slides", "task": None, "columns": columns, "rows": rows}
    _page(_place(results, "Slides", COHORT, "table.html"), table)
    for task in facts["tasks"]:
        scores = {"title": f"Scores of {task['name']}", "task": task}
        _page(_place(results, "Tasks", task["name"], "scores.html"), scores)
    for picture in facts["pictures"]:
        jpeg = base64.b64decode(picture["data"].partition(",")[2])
        with whole(_place(results, "Overviews", picture["slide_id"], "overview.jpg")) as part:
            part.write_bytes(jpeg)
    for category, subject, figure in _figures(facts):
        target = _place(results, category, subject, f"{figure.name}.svg")
        shutil.copyfile(results.figures / f"{figure}.svg", target)


def _page(path: Path, shown: Mapping[str, Any]) -> None:
    """Write a page of one table; the template of the scores wants tasks, of which it has none."""
    write_plain(path, "excerpt", {"tasks": [], **shown})


def _place(results: Results, category: str, subject: str, name: str) -> Path:
    """Path of an excerpt whose folder is there."""
    folder = results.excerpts / category / subject
    folder.mkdir(parents=True, exist_ok=True)
    return folder / name


def _figures(facts: Mapping[str, Any]) -> Iterator[tuple[str, str, Path]]:
    """Category, subject and path of the page's figures, in their folder and without suffix."""
    for figure in facts["histograms"]:
        yield "Slides", COHORT, Path(figure["id"])
    for training in facts["trainings"]:
        if training["figure"]:
            yield "Pretraining", training["name"], Path(training["figure"]["id"])
    for task in facts["tasks"]:
        for figure in task["figures"]:
            yield "Tasks", task["name"], Path(figure["id"])
    for slide in (facts["attention"] or {"slides": []})["slides"]:
        for figure in slide["figures"]:
            yield "Heatmaps", slide["slide_id"], Path("attend", slide["slide_id"], figure["name"])
