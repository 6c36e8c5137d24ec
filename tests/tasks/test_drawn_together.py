"""Cases that hold the same slide are one where cases are drawn."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hipt.config.step_settings import task_settings
from hipt.stats.evaluation import Classified
from hipt.steps import evaluate
from hipt.store.schemas import SLIDES
from hipt.store.tables import read_table, write_rows
from hipt.tasks.drawn_together import drawn_together, joined
from hipt.tasks.predictions import Predictions
from hipt.tasks.schemas import FOLDS, SCORES
from hipt.tasks.scores import evaluated
from tests.taskmaker import MadeTask


def folds(folder: Path, sources: dict[str, str]) -> Path:
    empty = dict.fromkeys(("label", "time", "event"))
    rows = [
        empty
        | {"slide_id": slide, "case_id": f"c_{slide}", "site": "", "unit": slide, "y": n % 2}
        | {"source": source, "parts": [2]}
        for n, (slide, source) in enumerate(sources.items())
    ]
    path = folder / "folds.parquet"
    write_rows(path, rows, FOLDS)
    return path


def slide_table(folder: Path, contents: dict[str, str]) -> Path:
    rows = [
        {field.name: None if field.nullable else "" for field in SLIDES}
        | {"slide_id": slide, "case_id": f"c_{slide}", "path": f"{slide}.svs", "status": "ok"}
        | {"content": content}
        for slide, content in contents.items()
    ]
    path = folder / "slides.parquet"
    write_rows(path, rows, SLIDES)
    return path


def test_the_slide_table_knows_first(tmp_path: Path):
    made = folds(tmp_path, {"a": "1", "b": "1", "d": "2", "e": "3", "f": "3"})
    contents = {"a": "x", "b": "y", "d": "y", "x": "y"}
    assert drawn_together(made, slide_table(tmp_path, contents)) == {"c_d": "c_b", "c_f": "c_e"}
    assert drawn_together(made, tmp_path / "none") == {"c_b": "c_a", "c_f": "c_e"}


def predictions(copies: int) -> Predictions:
    """Forty units, each so many times, under other cases."""
    rng = np.random.default_rng(1)
    p = np.clip(np.arange(40) % 2 * 0.3 + rng.random(40) * 0.7, 0, 1)
    names = [f"{n:02}.{copy}" for n in range(40) for copy in range(copies)]
    result = Classified(np.arange(40) % 2, np.stack([1 - p, p], 1)).take(
        np.repeat(np.arange(40), copies)
    )
    unit = np.array(names)
    return Predictions(Path("p"), "m", 1.0, np.zeros(len(unit), np.int64), unit, unit, result)


def test_copies_make_no_interval_narrower():
    together = {f"{n:02}.{copy}": f"{n:02}.0" for n in range(40) for copy in range(4)}
    single, fourfold = predictions(1), predictions(4)
    wanted = evaluated(single, 500, 1).interval("auc")
    assert evaluated(joined(fourfold, together), 500, 1).interval("auc") == pytest.approx(wanted)
    alone = evaluated(fourfold, 500, 1).interval("auc")
    assert wanted is not None
    assert alone is not None
    assert alone.high - alone.low < 0.7 * (wanted.high - wanted.low)


def test_evaluate_draws_them_as_one(tmp_path: Path):
    task = MadeTask(tmp_path, "t", 60, kind="classification", label="g", resamples=200)
    p = np.random.default_rng(1).random(60)
    truth = [{"label": "ab"[n % 2], "y": n % 2} for n in range(60)]
    task.split(truth)
    path = task.add(
        "linear", [{"y": n % 2, "p_0": 1 - p[n], "p_1": p[n], "calibrated_0": None,
                    "calibrated_1": None} for n in range(60)]
    )  # fmt: skip
    out = tmp_path / "scores.parquet"
    settings = task_settings("evaluate", task.config, "t")
    arguments = [
        "--cfg",
        settings.model_dump_json(),
        "--task",
        "t",
        "--out",
        str(out),
        "--predictions",
        str(path),
    ]
    arguments += ["--differences", str(tmp_path / "differences.parquet")]
    evaluate.main(arguments)
    apart = pooled_auc(out)
    contents = {f"s{n:03}": f"{n % 30}" for n in range(60)}
    arguments += ["--folds", str(task.results.task("t", "folds.parquet"))]
    evaluate.main([*arguments, "--slides", str(slide_table(tmp_path, contents))])
    assert pooled_auc(out)[0] == apart[0]
    assert pooled_auc(out)[1:] != apart[1:]


def pooled_auc(scores: Path) -> tuple[float, float, float]:
    """Value and both ends over all folds."""
    rows = read_table(scores, SCORES).to_pylist()
    (row,) = [r for r in rows if r["fold"] is None and r["metric"] == "auc"]
    return row["value"], row["low"], row["high"]
