"""What pandas makes of ids, against pandas itself."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from hipt.cohort.sheet import SlideRow
from hipt.exchange.clam_ids import misread_ids, warning_of


def rows(*ids: str, case: str = "c1") -> list[SlideRow]:
    return [SlideRow(slide_id, Path("x"), case) for slide_id in ids]


@pytest.mark.parametrize(
    "text", ["0012", "12", "007.50", "1e5", "12.", "NA", "nan", "null", "None"]
)
def test_what_pandas_makes_of_an_id_is_noted(text: str):
    column = pd.read_csv(StringIO(f"slide_id,n\n{text},1\n"))["slide_id"]
    value = "missing" if column.isna()[0] else str(column[0])
    assert misread_ids(rows(text)) == {
        text: "in columns of such ids, by pandas and so by CLAM, its slide_id "
        f"'{text}' is read as {value}"
    }


@pytest.mark.parametrize(
    "text", ["a", "s0012", "0012_1", "TCGA-1", "0x12", "1-2", "12a", "1e", "e5"]
)
def test_ids_that_stay_text_are_not_mentioned(text: str):
    column = pd.read_csv(StringIO(f"slide_id,n\n{text},1\n"))["slide_id"]
    assert column[0] == text
    assert misread_ids(rows(text)) == {}


def test_cases_count_where_they_are_written_in_another_way():
    assert misread_ids(rows("a", case="7")) == {}
    assert misread_ids(rows("a", case="007")) == {
        "a": "in columns of such ids, by pandas and so by CLAM, its case_id '007' is read as 7"
    }
    (both,) = misread_ids(rows("0012", case="007")).values()
    assert both.endswith("its slide_id '0012' is read as 12 and its case_id '007' is read as 7")


def test_one_sentence_for_all():
    notes = misread_ids(rows("0012", "a", "0013", "0014", "0015"))
    assert warning_of(notes) == (
        "dataset.csv: ids of 4 slides (0012, 0013, 0014 and 1 more) are digits alone or words for "
        "nothing: in columns of such ids, by pandas and so by CLAM, its slide_id '0012' is read as "
        "12; have it read as text (dtype=str), splits too, or put a letter in front of the ids in "
        "the sheet"
    )
    assert warning_of({}) == ""
