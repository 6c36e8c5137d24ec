"""A batch at work: verdicts, seconds, and an index that holds nothing that varies."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from hipt.cohort import batch_run
from hipt.cohort.batch_run import (
    BatchRun,
    kept_facts,
    read_index,
    read_seconds,
)
from hipt.cohort.failures import MANY as MANY_FAILURES
from hipt.errors import TROUBLE, HiptError, SlideError, Status
from hipt.layout import Results
from hipt.store.images import write_mask
from hipt.store.provenance import KEY, Provenance
from hipt.store.schemas import INDICES, patch_embeddings_schema, region_embeddings_schema
from hipt.store.shard import read_provenance
from hipt.store.tables import patch_embeddings_writer, vectors, write_table
from tests.clock import Clock

FACTS = {"regions": 2, "note": "é"}
CLOCK = Clock()


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_run, "time", CLOCK)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    return Results(tmp_path).index("tile", "b0003")


def seconds(index: Path) -> dict[str, float]:
    return read_seconds(Results.of_index(index).seconds("tile", "b0003"))


def work(
    index: Path, verdicts: dict[str, Status], on_slide_error: Any = "record", wait_s: float = 0
) -> None:
    """Run a batch whose slides end so."""
    with BatchRun(index, len(verdicts), on_slide_error) as batch:
        for slide_id, status in verdicts.items():
            with batch.slide(slide_id) as facts:
                CLOCK.sleep(wait_s)
                if status != "ok":
                    raise SlideError(status, f"{slide_id}.svs: because")
                facts |= {"fingerprint": "ab", "regions": 3}


def test_each_slide_ends_with_a_verdict(index: Path):
    work(index, {"0012": "ok", "b": "missing", "c": "no_tissue"})
    rows = read_index(index)
    assert [(row["slide_id"], row["status"], row["reason"]) for row in rows] == [
        ("0012", "ok", ""),
        ("b", "missing", "b.svs: because"),
        ("c", "no_tissue", "c.svs: because"),
    ]
    assert (rows[0]["fingerprint"], rows[0]["regions"], rows[0]["patches"]) == ("ab", 3, None)
    assert list(rows[0]) == INDICES["tile"].names
    assert seconds(index).keys() == {"0012", "b", "c"}


def test_facts_that_are_known_before_the_trouble_are_kept(index: Path):
    with BatchRun(index, 1, "record") as batch, batch.slide("a") as facts:
        facts["regions"] = 5
        raise SlideError("damaged", "half of it")
    assert read_index(index)[0] | {"status": "damaged", "regions": 5} == read_index(index)[0]


def test_a_verdict_of_an_earlier_step_is_handed_on(index: Path):
    earlier = {"slide_id": "a", "status": "no_mpp", "reason": "none stated", "mpp": 0.5}
    with BatchRun(index, 1, "stop") as batch:
        batch.carry(earlier)
    row = read_index(index)[0]
    assert {name: value for name, value in row.items() if value is not None} == {
        "slide_id": "a",
        "status": "no_mpp",
        "reason": "none stated",
    }
    assert seconds(index) == {}


def test_a_stop_leaves_no_index_but_the_seconds_so_far(index: Path):
    def work_that_is_stopped() -> None:
        with BatchRun(index, 2, "record") as batch:
            with batch.slide("a"):
                pass
            with batch.slide("b"):
                raise SystemExit

    with pytest.raises(SystemExit):
        work_that_is_stopped()
    assert not index.exists()
    assert seconds(index).keys() == {"a"}


def test_an_index_of_before_stays_when_a_later_run_fails(index: Path):
    work(index, {"a": "ok"})
    before = index.read_bytes()
    with pytest.raises(HiptError):
        work(index, {"a": "missing"}, "stop")
    assert index.read_bytes() == before


@pytest.mark.parametrize("status", sorted(TROUBLE))
def test_stop(index: Path, status: Status):
    with pytest.raises(HiptError) as error:
        work(index, {"a": "ok", "b": status, "c": "ok"}, "stop")
    assert str(error.value) == (
        f"slide b: {status}: b.svs: because (slides.on_slide_error is 'stop')"
    )
    assert not index.exists()


def test_stop_is_for_trouble_only(index: Path):
    work(index, {"a": "excluded", "b": "no_tissue"}, "stop")
    assert len(read_index(index)) == 2


def troubled(bad: int, good: int) -> dict[str, Status]:
    return {f"bad{i}": "missing" for i in range(bad)} | {f"good{i}": "ok" for i in range(good)}


def test_many_failures_have_a_common_cause(index: Path):
    verdicts: dict[str, Status] = {"x": "unreadable"} | troubled(MANY_FAILURES - 1, 7)
    with pytest.raises(HiptError) as error:
        work(index, verdicts)
    assert str(error.value) == (
        "8 of 15 slides of batch b0003 failed in tile, 7 as 'missing' (first: bad0: bad0.svs: "
        "because); that many at once have a common cause: mend it and run again, finished slides "
        "are kept"
    )
    assert not index.exists()


@pytest.mark.parametrize(("bad", "good"), [(MANY_FAILURES - 1, 0), (MANY_FAILURES, MANY_FAILURES)])
def test_fewer_failures_are_rows(index: Path, bad: int, good: int):
    work(index, troubled(bad, good))
    assert len(read_index(index)) == bad + good


def test_failures_of_earlier_steps_do_not_count_again(index: Path):
    with BatchRun(index, 10, "record") as batch:
        for number in range(9):
            batch.carry({"slide_id": f"s{number}", "status": "damaged", "reason": "x"})
        with batch.slide("last"):
            raise SlideError("unreadable", "y")
    assert len(read_index(index)) == 10


def test_slides_without_tissue_are_no_failures(index: Path):
    work(index, {f"s{i}": "no_tissue" for i in range(12)})
    assert len(read_index(index)) == 12


def test_the_index_is_the_same_whatever_the_time(index: Path):
    contents = []
    for wait_s in (0, 0.25):
        work(index, {"a": "ok", "b": "missing"}, wait_s=wait_s)
        contents.append(index.read_bytes())
    assert contents[0] == contents[1]
    assert seconds(index)["a"] >= 0.25


def test_seconds_of_slides_that_were_not_worked_on_stay(index: Path):
    work(index, {"a": "ok", "b": "ok"}, wait_s=0.25)
    first = seconds(index)
    work(index, {"b": "ok", "c": "ok"})
    later = seconds(index)
    assert later.keys() == {"a", "b", "c"}
    assert later["a"] == first["a"] >= 0.25
    assert later["b"] < first["b"]


def test_a_kept_shard_keeps_the_seconds_of_its_making(
    index: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    shard = Results.of_index(index).shard("tile", "a")
    shard.parent.mkdir()
    with BatchRun(index, 1, "record") as batch, batch.slide("a"):
        CLOCK.sleep(0.25)
        shard.write_text("made")
    made = seconds(index)["a"]
    work(index, {"a": "ok", "b": "ok"})
    assert seconds(index)["a"] == made >= 0.25
    assert caplog.messages[1] == "1/2 a: ok, kept as it is"
    assert re.fullmatch(r"2/2 b: ok, \d\.\d s, about 0 s left", caplog.messages[2])


def test_the_line_of_a_slide(index: Path, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.INFO)
    with BatchRun(index, 4, "record") as batch:
        batch.carry({"slide_id": "a", "status": "ok", "reason": ""})
        with batch.slide("b"):
            CLOCK.sleep(0.3)
            raise SlideError("missing", "b.svs: no such file")
    expected = r"2/4 b: missing: b\.svs: no such file, 0\.3 s, about 1 s left"
    assert re.fullmatch(expected, caplog.messages[0])


def write_shard(path: Path) -> Path:
    """A shard of the kind that its name says."""
    made = Provenance(step="x", step_version=1, fingerprint="right", settings={"a": 1}, facts=FACTS)
    ids, zeros = ["s"] * 40, np.zeros(40)
    columns = {"slide_id": ids, "region": zeros.astype(np.int32), "x": zeros.astype(int)}
    columns |= {"y": zeros.astype(int), "tissue": zeros.astype(np.float32)}
    if path.suffix == ".png":
        write_mask(path, np.random.default_rng(1).random((80, 90)) > 0.5, {KEY: made.to_json()})
    elif path.suffix == ".parquet":
        columns["embedding"] = vectors(np.ones((40, 5), np.float32))
        write_table(path, columns, region_embeddings_schema(5), made)
    else:
        schema = patch_embeddings_schema(5)
        columns |= {"patch": np.arange(40, dtype=np.int16), "readable": zeros == 0}
        columns |= {"computed": zeros == 0, "embedding": vectors(np.ones((40, 5), np.float16))}
        with patch_embeddings_writer(path, schema, made) as writer:
            writer.write_batch(pa.record_batch(columns, schema=schema))
    return path


SHARDS = ["a.png", "a.parquet", "a.arrow"]


@pytest.mark.parametrize("name", SHARDS)
def test_a_shard_is_kept_by_its_fingerprint(tmp_path: Path, name: str):
    shard = write_shard(tmp_path / name)
    assert kept_facts(shard, "right") == FACTS
    assert kept_facts(shard, "wrong") is None
    assert read_provenance(shard).settings == {"a": 1}


@pytest.mark.parametrize("name", SHARDS)
def test_a_shard_whose_companion_is_gone_is_made_again(tmp_path: Path, name: str):
    shard, companion = write_shard(tmp_path / name), tmp_path / "a.jpg"
    assert kept_facts(shard, "right", [companion]) is None
    companion.touch()
    assert kept_facts(shard, "right", [companion]) == FACTS
    shard.unlink()
    assert kept_facts(shard, "right", [companion]) is None


@pytest.mark.parametrize("tenth", range(10))
@pytest.mark.parametrize("name", SHARDS)
def test_a_cut_shard_is_made_again(tmp_path: Path, name: str, tenth: int):
    shard = write_shard(tmp_path / name)
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size * tenth // 10])
    assert kept_facts(shard, "right") is None


@pytest.mark.parametrize("name", SHARDS)
def test_something_else_in_a_shard_s_place_is_made_again(tmp_path: Path, name: str):
    shard = tmp_path / name
    for content in (b"", b"no shard", b"PAR1" * 9, b"ARROW1\0\0" * 9, b"\x89PNG\r\n\x1a\n"):
        shard.write_bytes(content)
        assert kept_facts(shard, "right") is None
    shard.unlink()
    shard.mkdir()
    assert kept_facts(shard, "right") is None


def test_a_mask_without_provenance_is_made_again(tmp_path: Path):
    write_mask(tmp_path / "a.png", np.ones((4, 4), bool), {})
    assert kept_facts(tmp_path / "a.png", "right") is None


def test_an_absent_index(tmp_path: Path):
    with pytest.raises(HiptError, match="not there; the step that makes it has to run first"):
        read_index(tmp_path / "tile" / "index" / "b0000.parquet")


def test_no_seconds_yet(tmp_path: Path):
    assert read_seconds(tmp_path / "b0000.slides.csv") == {}
