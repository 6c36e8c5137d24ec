"""One reader of CSV: whatever a table looks like, its cells, and the place of what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hipt.errors import HiptError
from hipt.store.csv_rows import (
    Table,
    missing_column,
    read_csv,
    read_written,
    trimmed,
    write_csv,
)

HEADER = ("id", "note")
property_test = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def table(folder: Path, text: str | bytes) -> Table:
    return read_csv(written(folder, text), set(HEADER).issubset)


def rows(folder: Path, text: str | bytes) -> list[tuple[int, dict[str, str]]]:
    return [(row.number, dict(row)) for row in table(folder, text)]


def sentence(folder: Path, read: Callable[[], object]) -> str:
    with pytest.raises(HiptError) as error:
        read()
    return str(error.value).replace(f"{folder}/", "")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
def test_dialects(tmp_path: Path, delimiter: str, newline: str, bom: str):
    lines = [["id", "note", ""], ["0012", '"a,b;c\td"', ""], ["1e3", '"x\ny"', " "], [], ["z"]]
    text = bom + "\n".join(map(delimiter.join, lines)).replace("\n", newline)
    assert rows(tmp_path, text) == [
        (2, {"id": "0012", "note": "a,b;c\td"}),
        (3, {"id": "1e3", "note": "x\ny"}),
        (6, {"id": "z", "note": ""}),
    ]


@pytest.mark.parametrize(
    ("above", "header"),
    [
        ("sep=;\n", "id;note"),
        ('"sep=;"\n# made by R\n', "id;note"),
        ("# made by R\n#STRING;STRING\n", "id;note"),
        ('"# made, by, R"\n', "id;note"),
        ("", "#id;note"),
        ("# made by R\n", '"# id";note'),
    ],
)
def test_comments_above_the_header(tmp_path: Path, above: str, header: str):
    found = table(tmp_path, f"{above}{header}\na,b;#c\n#d;\n")
    assert (found.header, found.header_row) == (["id", "note"], 1 + above.count("\n"))
    first, second = found
    assert (first.number, dict(first)) == (found.header_row + 1, {"id": "a,b", "note": "#c"})
    assert second["id"] == "#d"


def test_a_column_may_be_called_by_a_hash(tmp_path: Path):
    text = "#,id,note\n#1,a,b\n"
    assert rows(tmp_path, text) == [(2, {"#": "#1", "id": "a", "note": "b"})]


def test_the_last_comment_is_no_header_above_a_header(tmp_path: Path):
    assert rows(tmp_path, "#id,note\nid,note\na,b\n") == [(3, {"id": "a", "note": "b"})]


def test_of_equal_names_the_first_counts_and_empty_names_do_not(tmp_path: Path):
    found = table(tmp_path, "id,x,note,x,,\na,1,b,2,3,4\n")
    (row,) = found
    assert dict(row) == {"id": "a", "x": "1", "note": "b"}
    assert ("x" in row, "" in row, row.get("y"), len(row)) == (True, False, None, 3)
    found.refuse_repeated(["id", ""])
    assert sentence(tmp_path, found.refuse_repeated) == (
        "t.csv, row 1, column 'x': stands twice in the header; rename one"
    )


def test_ends_of_cells_and_names_are_trimmed(tmp_path: Path):
    assert trimmed("\u200b \u00a0a b\u00a0\ufeff") == "a b"
    text = "id\u200b, note\u00a0\n a ,\u200b \n\u200b,\u00a0\n"
    assert rows(tmp_path, text) == [(2, {"id": "a", "note": ""})]


def test_place_of_a_wrong_cell(tmp_path: Path):
    (row,) = table(tmp_path, "sep=,\nid,note\n\n,b\n")
    problem = "is empty; name it"
    assert sentence(tmp_path, lambda: _raise(row.wrong("id", problem))) == (
        "t.csv, row 4, column 'id': is empty; name it"
    )


def _raise(error: HiptError) -> None:
    raise error


def test_columns_that_are_missing(tmp_path: Path):
    found = table(tmp_path, "# x\n#y\nid;;notes\n")
    assert found.column("case", "id") == "id"
    assert sentence(tmp_path, lambda: found.column("note", "case")) == (
        "t.csv, row 3: column 'note' or 'case' is missing (found: id, notes); add it"
    )
    near = missing_column("t.csv", ["note"], ["id", "notes"], "correct it", guess=True)
    assert str(near) == "t.csv: column 'note' is missing (did you mean 'notes'?); correct it"
    far = missing_column("t.csv", ["note"], [str(n) for n in range(12)], "add it", guess=True)
    assert "(found: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more)" in str(far)


NOT_TEXT, QUOTE = "is not UTF-8 text; save it as 'CSV UTF-8'", "look for a double quote that is not"
SENTENCES = {
    "not UTF-8": ("id,note\nMüller,a\n".encode("latin-1"), f"row 2: {NOT_TEXT}"),
    "below a byte-order mark": (b"\xef\xbb\xbfid,note\n\xffa,\n", f"row 2: {NOT_TEXT}"),
    "lines of a Mac": (b"id,note\ra,b\r\n\xff,\r", f"row 3: {NOT_TEXT}"),
    "UTF-16": ("id,note\n".encode("utf-16"), f"row 1: {NOT_TEXT}"),
    "NUL": (b"id,note\r\na\0,b\n", "row 2: holds a NUL character; save it as 'CSV UTF-8'"),
    "quotation mark": (
        'sep=,\nid,note\na,"b\nc,d\n',
        f"row 3: is not CSV (unexpected end of data); {QUOTE} closed",
    ),
    "endless cell": (
        f"id,note\na,{'b' * 200_000}\n",
        f"row 2: is not CSV (field larger than field limit (131072)); {QUOTE} closed",
    ),
    "cells without a column": (
        "# x\nid,note\na,b,c\nd,e,,\nf,g,,h\n",
        (
            "row 3: has 3 cells, the header 2; put a cell that holds a comma, semicolon or tab in "
            "double quotes, or take the extra ones out (1 more row is at fault: 5)"
        ),
    ),
}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentence(tmp_path: Path, name: str):
    text, expected = SENTENCES[name]
    assert sentence(tmp_path, lambda: rows(tmp_path, text)) == f"t.csv, {expected}"


def test_content_from_elsewhere(tmp_path: Path):
    found = read_csv(tmp_path / "t.zip", set(HEADER).issubset, b"id,note\na,b\n")
    assert [dict(row) for row in found] == [{"id": "a", "note": "b"}]


@pytest.mark.parametrize("text", ["", "\n", "#", "sep=,", "sep=,\n# x", "\ufeff"])
def test_nothing(tmp_path: Path, text: str):
    found = table(tmp_path, text)
    assert "(found: nothing)" in sentence(tmp_path, lambda: found.column("id"))
    assert list(found) == []


CELL = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)


@property_test
@given(lines=st.lists(st.tuples(CELL, CELL), max_size=4))
def test_what_is_written_is_read(tmp_path: Path, lines: list[tuple[str, str]]):
    path = tmp_path / "a.csv"
    write_csv(path, HEADER, lines)
    assert list(map(tuple, read_written(path, ("other",), HEADER))) == lines
    content = path.read_bytes()
    if b"\0" not in content:
        given = [tuple(map(_as_read, line)) for line in lines]
        found = [tuple(row.values()) for row in table(tmp_path, content)]
        assert found == [line for line in given if any(line)]


def _as_read(cell: str) -> str:
    return trimmed(cell.replace("\r\n", "\n").replace("\r", "\n"))


def test_numbers_are_written_as_they_are(tmp_path: Path):
    write_csv(tmp_path / "a.csv", ("a", "b"), [(1, 0.5), ("x,y", "")])
    assert (tmp_path / "a.csv").read_bytes() == b'a,b\n1,0.5\n"x,y",\n'


@pytest.mark.parametrize(
    "content",
    [b"", b"id\na\n", b"id,note\na\n", b"id,note\na,b,c\n", b'id,note\na,"b\n', b"id,note\n\xff,"],
)
def test_files_that_were_not_written_here(tmp_path: Path, content: bytes):
    with pytest.raises(ValueError, match=r"."):
        read_written(written(tmp_path, content), HEADER)


def test_cells_are_as_long_as_they_are_said_to_be(tmp_path: Path):
    path = tmp_path / "a.csv"
    write_csv(path, HEADER, [("a", "b" * 200_000)])
    with pytest.raises(ValueError, match="field larger than field limit"):
        read_written(path, HEADER)
    assert len(read_written(path, HEADER, longest_cell=1 << 20)[0][1]) == 200_000
    with pytest.raises(ValueError, match="field larger than field limit"):
        read_written(path, HEADER)


LIKELY = st.text(st.sampled_from('idnote,;\t#"\n\r sep=')).map(str.encode)


@property_test
@given(data=st.binary(max_size=200) | LIKELY)
def test_any_bytes_are_rows_or_a_sentence(tmp_path: Path, data: bytes):
    numbers, said = [0], ""
    try:
        numbers += [number for number, _ in rows(tmp_path, data)]
    except HiptError as error:
        said = str(error)
    assert numbers == sorted(set(numbers))
    assert said.startswith(f"{tmp_path}/t.csv") or not said
