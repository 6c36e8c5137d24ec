"""The ledger of batches: it only grows, whatever comes, goes or changes its place in the sheet."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hipt.cohort.ledger import Ledger, in_batch, read_ledger, updated, write_ledger
from hipt.cohort.sheet import SlideRow
from hipt.errors import HiptError

SHEET = st.dictionaries(st.sampled_from([f"s{i}" for i in range(12)]), st.sampled_from("xyz"))
HISTORY = st.lists(st.tuples(SHEET, st.integers(1, 4)), max_size=5)
property_test = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def after(history: list[tuple[dict[str, str], int]]) -> Ledger:
    ledger = Ledger()
    for sheet, batch_size in history:
        ledger = updated(ledger, sheet, batch_size)
    return ledger


def row(slide_id: str) -> SlideRow:
    return SlideRow(slide_id=slide_id, path=Path("x"), case_id="c")


@property_test
@given(HISTORY, SHEET, st.integers(1, 4))
def test_known_slides_never_move(history: list, sheet: dict[str, str], batch_size: int):
    before = after(history)
    now = updated(before, sheet, batch_size)
    assert {slide: now.batch_of[slide] for slide in before.batch_of} == before.batch_of
    assert now.batch_of.keys() == before.batch_of.keys() | sheet.keys()


@property_test
@given(HISTORY, SHEET, st.integers(1, 4))
def test_new_slides_fill_new_batches_in_order(history: list, sheet: dict, batch_size: int):
    before = after(history)
    now = updated(before, sheet, batch_size)
    new = [slide for slide in now.batch_of if slide not in before.batch_of]
    assert new == [slide for slide in sheet if slide not in before.batch_of]
    batches = [now.batch_of[slide] for slide in new]
    assert not set(batches) & set(before.batch_of.values())
    assert batches == sorted(batches)
    sizes = list(Counter(batches).values())
    assert all(size == batch_size for size in sizes[:-1])
    assert all(1 <= size <= batch_size for size in sizes)


@pytest.mark.parametrize(("slides", "size"), [(2048, 16), (2049, 17), (10678, 84)])
def test_many_slides_at_once_make_larger_batches_not_more(slides: int, size: int):
    ledger = updated(Ledger(), {f"s{i}": "" for i in range(slides)}, 16)
    batches = Counter(ledger.batch_of.values())
    assert len(batches) <= 128
    assert max(batches.values()) == size
    assert Counter(updated(ledger, {"new": ""}, 16).batch_of.values())[f"b{len(batches):04d}"] == 1


@property_test
@given(HISTORY, SHEET, st.integers(1, 4), st.randoms(use_true_random=False))
def test_reordering_and_another_batch_size_change_nothing(
    history: list, sheet: dict[str, str], batch_size: int, order: random.Random
):
    before = after([*history, (sheet, batch_size)])
    shuffled = list(sheet.items())
    order.shuffle(shuffled)
    now = updated(before, dict(shuffled), 5 - batch_size)
    assert now == before
    assert list(now.batch_of) == list(before.batch_of)


@property_test
@given(HISTORY, SHEET)
def test_a_removed_slide_keeps_batch_and_digest(history: list, sheet: dict[str, str]):
    before = after(history)
    now = updated(before, sheet, 2)
    for slide in before.batch_of.keys() - sheet.keys():
        assert now.digest_of[slide] == before.digest_of[slide]
    assert {slide: now.digest_of[slide] for slide in sheet} == sheet
    untouched = {b for s, b in before.batch_of.items() if sheet.get(s) not in (None, "x")}
    gone_only = set(before.batch_of.values()) - {before.batch_of.get(s) for s in sheet} - untouched
    for batch in gone_only:
        assert now.members()[batch] == before.members()[batch]


@property_test
@given(history=HISTORY)
def test_there_and_back(tmp_path: Path, history: list):
    ledger, path = after(history), tmp_path / "results" / "batches.csv"
    write_ledger(path, ledger)
    read = read_ledger(path)
    assert read == ledger
    assert list(read.batch_of) == list(ledger.batch_of)


def test_text_of_the_ledger(tmp_path: Path):
    write_ledger(tmp_path / "b.csv", updated(Ledger(), {"0012": "aa", "b,c": "bb", "d": "cc"}, 2))
    assert (tmp_path / "b.csv").read_bytes() == (
        b'slide_id,batch,row_digest\n0012,b0000,aa\n"b,c",b0000,bb\nd,b0001,cc\n'
    )


def test_more_than_ten_thousand_batches():
    ledger = updated(Ledger({"old": "b9999"}, {"old": ""}), {"new": "", "old": ""}, 1)
    assert ledger.batch_of == {"old": "b9999", "new": "b10000"}


def test_nothing_is_written_where_nothing_changed(tmp_path: Path):
    path = tmp_path / "batches.csv"
    write_ledger(path, updated(Ledger(), {"a": "1"}, 2))
    before = path.stat()
    write_ledger(path, updated(read_ledger(path), {"a": "1"}, 2))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    write_ledger(path, updated(read_ledger(path), {"a": "2"}, 2))
    assert path.stat().st_ino != before.st_ino


def test_slides_of_a_batch_that_are_still_in_the_sheet():
    ledger = updated(Ledger(), {"a": "", "b": "", "c": "", "d": ""}, 3)
    sheet = [row("d"), row("c"), row("a"), row("new")]
    assert [r.slide_id for r in in_batch(ledger, "b0000", sheet)] == ["a", "c"]
    assert in_batch(ledger, "b0001", []) == []
    with pytest.raises(HiptError, match="batch b0002 is not in the ledger of batches; start with"):
        in_batch(ledger, "b0002", sheet)


def test_no_ledger_yet(tmp_path: Path):
    assert read_ledger(tmp_path / "batches.csv") == Ledger()


DAMAGED = {
    "empty": b"",
    "other header": b"slide_id,batch\na,b0000\n",
    "short line": b"slide_id,batch,row_digest\na,b0000\n",
    "batch name": b"slide_id,batch,row_digest\na,batch1,x\n",
    "slide twice": b"slide_id,batch,row_digest\na,b0000,x\na,b0001,x\n",
    "not UTF-8": b"slide_id,batch,row_digest\n\xff,b0000,x\n",
    "huge number": b"slide_id,batch,row_digest\na,b" + b"9" * 5000 + b",x\n",
    "huge cell": b"slide_id,batch,row_digest\n" + b"a" * 200_000 + b",b0000,x\n",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damaged_ledger(tmp_path: Path, name: str):
    path = tmp_path / "batches.csv"
    path.write_bytes(DAMAGED[name])
    with pytest.raises(HiptError) as error:
        read_ledger(path)
    assert str(error.value) == (
        f"{path}: is not the ledger of batches (columns slide_id, batch, row_digest); restore it, "
        "or delete it: batches are then formed anew, and finished slides are kept"
    )


@property_test
@given(data=st.binary(max_size=100) | st.text(st.sampled_from('ab01,"\n\r\0')).map(str.encode))
def test_any_bytes_are_a_ledger_or_a_sentence(tmp_path: Path, data: bytes):
    path = tmp_path / "batches.csv"
    path.write_bytes(b"slide_id,batch,row_digest\n" + data)
    try:
        ledger = read_ledger(path)
    except HiptError:
        return
    assert len(updated(ledger, {"new": ""}, 1).batch_of) >= 1
