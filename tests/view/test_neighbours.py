"""Neighbours against a plain loop over the files; other cases first; while vectors are read."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import pytest

from hipt.layout import Results
from hipt.store.schemas import region_embeddings_schema
from hipt.store.tables import PatchEmbeddings, matrix, read_table, vectors, write_table
from hipt.view import region_vectors
from hipt.view.region_vectors import RegionVectors
from tests.steps.mapped import SLIDES
from tests.view.conftest import Serve, Viewer

Items = dict[tuple[str, int, int | None], np.ndarray]


def case_of(slide_id: str) -> int:
    return int(slide_id[1:]) // 2


def regions(results: Results) -> Items:
    found: Items = {}
    for i in range(SLIDES):
        table = read_table(results.shard("embed_regions", f"s{i}"))
        rows = zip(table["region"].to_pylist(), matrix(table["embedding"]), strict=True)
        found |= {(f"s{i}", region, None): vector for region, vector in rows}
    return found


def patches(results: Results) -> Items:
    found: Items = {}
    for i in range(SLIDES):
        made = PatchEmbeddings(results.shard("embed_patches", f"s{i}"))
        for region in range(len(made)):
            for patch, vector in enumerate(made.grid(region)):
                found[f"s{i}", region, patch] = vector.astype(np.float64)
    return found


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return 1 - float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def expected(items: Items, own: tuple[str, int, int | None], others: bool) -> list[float]:
    """All distances in the order of the answer."""
    keys = [key for key in items if key != own]
    ranks = [others and case_of(key[0]) == case_of(own[0]) for key in keys]
    pairs = sorted(
        (rank, apart(items[own].astype(float), items[key].astype(float)))
        for key, rank in zip(keys, ranks, strict=True)
    )
    return [distance for _, distance in pairs]


def ask(viewer: Viewer, **query: object) -> dict:
    return viewer.get(f"/api/neighbours?{urlencode(query)}").json


@pytest.mark.parametrize("others", [0, 1])
@pytest.mark.parametrize("level", ["region", "patch"])
def test_the_nearest_of_the_whole_cohort(viewer: Viewer, made: Path, level: str, others: int):
    results = Results(made)
    items = regions(results) if level == "region" else patches(results)
    query = {"slide": "s3", "region": 2, "count": 20, "others": others}
    own = ("s3", 2, None)
    if level == "patch":
        query["patch"], own = 5, ("s3", 2, 5)
    answer = ask(viewer, **query)
    rows = answer["neighbours"]
    assert answer["exact"] is True
    assert answer["searched"] == len(items) - 1
    assert len(rows) == 20
    distances = [row["distance"] for row in rows]
    assert distances == pytest.approx(expected(items, own, bool(others))[:20], abs=2e-5)
    for row in rows:
        key = (row["slide"], row["region"], row["patch"])
        assert row["distance"] == pytest.approx(apart(items[own], items[key]), abs=2e-5)
        assert row["same_case"] == (case_of(row["slide"]) == 1)
        assert row["same_slide"] == (row["slide"] == "s3")
        assert row["size"] == (256 if level == "region" else 64)
        table = viewer.get(f"/api/regions?slide={row['slide']}").json
        if level == "region":
            assert (row["x"], row["y"]) == (
                table["x"][row["region"]],
                table["y"][row["region"]],
            )
    if others:
        assert not any(row["same_case"] for row in rows)
        assert "other cases come first" in answer["how"]
    assert len({(row["slide"], row["region"], row["patch"]) for row in rows}) == 20


def test_the_own_case_comes_after_all_others(viewer: Viewer):
    rows = ask(viewer, slide="s3", region=0, count=100)["neighbours"]
    same = [row["same_case"] for row in rows]
    assert len(rows) == 6 * SLIDES - 1
    assert same == sorted(same)
    assert sum(same) == 11


def test_patches_of_large_cohorts_are_sought_in_the_nearest_regions(
    viewer: Viewer, made: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("hipt.view.neighbours.MOST_PATCHES", 100)
    monkeypatch.setattr("hipt.view.neighbours.NEAR_REGIONS", 4)
    answer = ask(viewer, slide="s3", region=1, patch=3, count=5)
    assert (answer["exact"], answer["searched"]) == (False, 4 * 16)
    assert "the 4 regions that are most like this patch's region" in answer["how"]
    near = ask(viewer, slide="s3", region=1, count=4)["neighbours"]
    places = {(row["slide"], row["region"]) for row in near}
    assert {(row["slide"], row["region"]) for row in answer["neighbours"]} <= places
    items = patches(Results(made))
    own = items["s3", 1, 3]
    inside = sorted(apart(own, items[s, r, p]) for s, r in places for p in range(16))[:5]
    assert [row["distance"] for row in answer["neighbours"]] == pytest.approx(inside, abs=2e-5)


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ({"region": 99}, "has no region 99"),
        ({"region": 99, "patch": 0}, "has no region 99"),
        ({"region": 0, "patch": 16}, "has no patch 16"),
    ],
)
def test_what_is_not_there_is_said(viewer: Viewer, query: dict[str, int], text: str):
    answer = viewer.get("/api/neighbours?" + urlencode({"slide": "s3", **query}))
    assert answer.status == 404
    assert text in answer.json["error"]


def test_a_slide_that_comes_is_found_and_one_that_changes_is_read_anew(
    serve: Serve, made: Path, tmp_path: Path
):
    shutil.copytree(made, tmp_path / "results")
    results = Results(tmp_path / "results")
    away = results.shard("embed_regions", "s7")
    aside = tmp_path / "s7.parquet"
    away.rename(aside)
    viewer, wanted = serve(results.root), {"slide": "s3", "region": 0, "count": 100}

    def slides() -> set[str]:
        for _ in range(100):
            answer = ask(viewer, **wanted)
            if answer["exact"]:
                break
        return {row["slide"] for row in answer["neighbours"]}

    slides()
    assert slides() == {f"s{i}" for i in range(SLIDES)} - {"s7"}
    shutil.copy(aside, away)
    slides()
    assert "s7" in slides()
    table = read_table(away)
    turned = matrix(table["embedding"]) * -1
    columns = {name: table[name] for name in table.column_names} | {"embedding": vectors(turned)}
    write_table(away, columns, region_embeddings_schema(turned.shape[1]))
    slides()
    slides()
    rows = ask(viewer, **wanted)["neighbours"]
    far = [row["distance"] for row in rows if row["slide"] == "s7"]
    assert len(far) == 6
    assert min(far) > 1


def test_vectors_in_several_blocks_and_one_that_cannot_be_read(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(region_vectors, "BLOCK_ROWS", 7)
    shutil.copytree(made / "embed_regions", tmp_path / "embed_regions")
    results = Results(tmp_path)
    results.shard("embed_regions", "s4").write_bytes(b"damaged")
    results.shard("embed_regions", ".s5.0.part").write_bytes(b"being written")
    searched = RegionVectors(results)
    searched.refresh()
    searched.wait()
    assert "s4.parquet" in caplog.text
    assert ".s5" not in caplog.text
    items = {key: vector for key, vector in regions(Results(made)).items() if key[0] != "s4"}
    own = ("s3", 2, None)
    found, count = searched.nearest(items[own], own[:2], lambda _: 0, 200)
    assert count == len(found) == len(items) - 1
    assert [f.distance for f in found] == pytest.approx(expected(items, own, False), abs=2e-6)
    for f in found:
        assert f.distance == pytest.approx(
            apart(items[own], items[f.slide_id, f.region, None]), abs=2e-6
        )


def test_a_slide_whose_files_are_damaged_is_left_out(serve: Serve, made: Path, tmp_path: Path):
    shutil.copytree(made, tmp_path / "results")
    results = Results(tmp_path / "results")
    results.shard("embed_patches", "s7").write_bytes(b"damaged")
    results.shard("tile", "s8").unlink()
    viewer = serve(results.root)
    near = ask(viewer, slide="s3", region=2, patch=5, count=100, others=0)
    assert {"s7", "s8"}.isdisjoint(row["slide"] for row in near["neighbours"])
    assert near["searched"] == 11 * 6 * 16 - 1
    for _ in range(100):
        near = ask(viewer, slide="s3", region=2, count=100, others=0)
        if near["exact"]:
            break
    assert {row["slide"] for row in near["neighbours"]} == {f"s{i}" for i in range(12)} - {"s8"}


def test_vectors_that_are_no_numbers_are_near_to_nothing(serve: Serve, made: Path, tmp_path: Path):
    shutil.copytree(made, tmp_path / "results")
    results = Results(tmp_path / "results")
    table = read_table(results.shard("embed_regions", "s7"))
    broken = matrix(table["embedding"]).copy()
    broken[:, 0] = np.nan
    columns = {name: table[name] for name in table.column_names} | {"embedding": vectors(broken)}
    schema = region_embeddings_schema(broken.shape[1])
    write_table(results.shard("embed_regions", "s7"), columns, schema)
    viewer = serve(results.root)
    answer = viewer.get("/api/neighbours?slide=s7&region=0")
    assert answer.status == 404
    assert "no numbers" in answer.json["error"]
    for count in (6, 100):  # before: as many as are broken were left out, or all
        for _ in range(100):
            near = ask(viewer, slide="s3", region=2, count=count, others=0)
            if near["exact"]:
                break
        rows = near["neighbours"]
        assert len(rows) == min(count, 6 * 11 - 1)
        assert "s7" not in {row["slide"] for row in rows}


def test_reading_ends_with_the_program(made: Path, monkeypatch: pytest.MonkeyPatch):
    """A thread that outlives the program inside of Arrow aborts it; one that is waited for ends."""
    started: list[threading.Thread] = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: (started.append(self), start(self)))
    monkeypatch.setattr(threading, "main_thread", threading.Thread)  # one that is not alive
    searched = RegionVectors(Results(made))
    searched.refresh()
    searched.wait()
    assert [thread.daemon for thread in started] == [False]
    assert searched.nearest(np.ones(8), ("s0", 0), lambda _: 0, 5) == ([], 0)
