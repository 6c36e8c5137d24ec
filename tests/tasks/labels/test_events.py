"""Whether the event was seen, in the words of registries and programs."""

from __future__ import annotations

import pytest

from hipt.tasks.labels.events import event_readings, foreign_coding

ONE_MEANING = {
    **{"1": True, "0": False, "1.0": True, "0.0": False, "TRUE": True, "False": False},
    **{"yes": True, "No": False, "1:DECEASED": True, "0:LIVING": False, "Alive": False},
    **{"Dead": True, "deceased": True, "LIVING": False, "0:Alive": False, "1: Dead": True},
    **{"1:Recurred/Progressed": True, "0:DiseaseFree": False, "1:DEAD WITH TUMOR": True},
    **{"censored": False, "Disease-Free": False, "Not Progressed": False, "Progressed": True},
    **{"ALIVE OR DEAD TUMOR FREE": False, "DEAD WITH TUMOR": True, "No Recurrence": False},
}


@pytest.mark.parametrize("cell", ONE_MEANING)
def test_cells_with_one_meaning(cell: str):
    assert event_readings([cell], "event") == {cell: ONE_MEANING[cell]}


def test_flags_turn_round_with_the_column_and_words_do_not():
    cells = ["1", "0", "true", "no", "Alive", "Dead"]
    assert event_readings(cells, "censorship") == {
        **{"1": False, "0": True, "true": False, "no": True, "Alive": False, "Dead": True}
    }


@pytest.mark.parametrize("cell", ["2", "lost", "1:LIVING", "0:DECEASED", "2:DEAD", "1_0", "0.5"])
def test_cells_without_one(cell: str):
    assert event_readings([cell], "event") == {}


def test_a_coded_cell_that_contradicts_the_column():
    assert event_readings(["0:LIVING", "1:DECEASED"], "censorship") == {}


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["0", "1", "1.0", "Alive", "odd"], None),
        (["1", "2"], "holds 1 and 2, and programs differ in which of them is the event"),
        (["0", "1", "2"], "holds 3 different numbers (0, 1, 2), and an event was seen or not"),
        (["0", "-1"], "holds -1, 0, where 0 and 1 are known"),
        (["345", "12", "0", "9", "8", "7"], "holds 6 different numbers (0, 7, 8, 9, 12, ...), "),
    ],
)
def test_numbers_that_are_no_flags(cells: list[str], problem: str | None):
    result = foreign_coding(cells, event_readings(cells, "event"))
    assert result is None if problem is None else str(result).startswith(problem)
