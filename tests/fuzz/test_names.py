"""Whatever slides, cases and classes are called: nothing is written outside the results folder."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from hipt.cohort.sheet import read_sheet
from hipt.config.config import Config
from hipt.config.step_settings import settings, task_settings
from hipt.errors import HiptError
from hipt.exchange.tree import ExportTree
from hipt.layout import Results
from hipt.registry import SHARDED
from hipt.steps import export, split
from tests.fuzz.arrays import parquet
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

REFUSED = (
    *(
        "../x",
        "..",
        ".",
        "/etc/x",
        "a/b",
        "a\\b",
        "C:x",
        "\\\\host\\x",
        "~/x",
        "-rf",
        "--out",
        ".hid",
    ),
    *(
        "a\nb",
        "a\tb",
        "a\x1b[2J",
        "a\x7f",
        "a\u2028b",
        "a\x85b",
        "a*",
        "a?",
        'a"b',
        "a<b",
        "a>b",
        "a|b",
    ),
    *("x" * 201, "é" * 101, "\ufeff/x"),
)
"""Ids that cannot be a file's name everywhere."""

TAKEN = (
    *("CON", "nul", "a.", "a..b", "x" * 200, "index", "b0000", "$(id)", "`id`", "${HOME}", "{7}"),
    *(
        "%2e%2e%2fx",
        "a b",
        "a;b",
        "a&b",
        "a'b",
        "[a-z]",
        "{slide}",
        "\uff58\uff0f\uff59",
        "a\u2215b",
        "\uff21",
        "病理",
        "a\u202eb",
    ),
)
"""Ids that are odd, and stay where they belong."""


def sheet(folder: Path, ids: tuple[str, ...], path: str = "s.svs") -> str:
    text = io.StringIO()
    rows = [(one, path, f"../{one}", "/etc", "../label") for one in ids]
    csv.writer(text).writerows([("slide_id", "path", "case_id", "site", "grade"), *rows])
    (folder / "slides.csv").write_text(text.getvalue(), encoding="utf-8")
    return text.getvalue()


@pytest.mark.parametrize("name", REFUSED)
def test_names_that_cannot_be_files_are_refused(tmp_path: Path, name: str):
    sheet(tmp_path, (name,))
    with pytest.raises(HiptError, match=r"row 2, column 'slide_id': .* cannot be a file name"):
        read_sheet(tmp_path / "slides.csv")


def test_names_that_one_file_system_takes_for_the_same_are_refused(tmp_path: Path):
    for one, other in (("Slide", "sLIDE"), ("é", "e\u0301"), ("straße", "STRASSE")):
        sheet(tmp_path, (one, other))
        with pytest.raises(HiptError, match="row 3, column 'slide_id'"):
            read_sheet(tmp_path / "slides.csv")


def test_every_place_of_a_slide_lies_where_it_belongs(tmp_path: Path):
    sheet(tmp_path, TAKEN)
    results = Results(tmp_path / "results")
    places: list[Path] = []
    for row in read_sheet(tmp_path / "slides.csv"):
        for step in SHARDED:
            shard, picture = results.shard(step, row.slide_id), results.overview(step, row.slide_id)
            assert shard.parent == picture.parent == results.root / step
            assert shard.stem == row.slide_id
            places.append(shard)
        assert results.maps(row.slide_id).parent == results.root / "attend"
        assert ExportTree(results.root)._note(row.slide_id).parent.name == ".hipt"
    assert len({str(place).casefold() for place in places}) == len(places)


def test_a_run_with_odd_names_writes_into_its_results_alone(chain: Chain):
    names = TAKEN[::2]  # one batch
    write_slide(chain.folder / "s.svs", tissue_picture(512, 384))
    chain.sheet(sheet(chain.folder, names))
    before = set(chain.folder.parent.rglob("*")) - set(chain.results.root.rglob("*"))
    rows = chain.upto("embed_regions")
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert rows.keys() == set(names)
    chain.table()
    told = settings("export", Config.model_validate(chain.values))
    for name in ("trident", "clam", "stamp", "hipt"):
        out = chain.results.root / "export" / f"{name}.parquet"
        export.run(chain.results.slides, out, name, told)
        assert len(list((chain.results.export(name) / ".hipt").iterdir())) == len(names)
    after = set(chain.folder.parent.rglob("*")) - set(chain.results.root.rglob("*"))
    assert after - before <= {chain.results.root}


def test_names_of_foreign_features_are_never_paths(tmp_path: Path):
    """A task's own features need no sheet: their ids stand in tables alone."""
    ids = [f"../{i}{name}" for i, name in enumerate((*REFUSED, *TAKEN, "a\0b"))]
    home = tmp_path / "home"
    home.mkdir()
    sheet(home, ("s",))
    vectors = [[float(i), 1.0] for i in range(len(ids))]
    (home / "f.parquet").write_bytes(parquet({"slide_id": ids, "embedding": vectors}))
    grades = ["ab"[i % 2] for i in range(len(ids))]
    (home / "labels.parquet").write_bytes(parquet({"slide_id": ids, "grade": grades}))
    task = {"kind": "classification", "label": "grade", "folds": 2, "validation": 0.3}
    task |= {"features": str(home / "f.parquet"), "labels": str(home / "labels.parquet")}
    values = {"slides": {"sheet": str(home / "slides.csv")}, "tasks": {"t": task}}
    told = task_settings("split", Config.model_validate(values), "t")
    results = Results(home / "results")
    split.run(
        results.slides, results.task("t", "folds.parquet"), results.task("t", "l.parquet"), told
    )
    assert {p.name for p in results.task("t", "").iterdir()} == {
        "folds.parquet",
        "l.parquet",
        "labels.parquet",
        "members.csv",
    }
    assert {p.name for p in home.iterdir()} == {
        "slides.csv",
        "f.parquet",
        "labels.parquet",
        "results",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["home"]
