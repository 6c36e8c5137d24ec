"""The sheet: what it means, and the sentence that a user reads for each mistake."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hipt.cohort.sheet import SlideRow, read_sheet, read_with_remarks
from hipt.errors import HiptError


def sheet(folder: Path, text: str | bytes) -> Path:
    path = folder / "slides.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def sentence(path: Path, **options: str) -> str:
    """What the user reads, the folder left out."""
    with pytest.raises(HiptError) as error:
        read_with_remarks(path, **options)
    return str(error.value).replace(f"{path.parent}/", "")


def test_a_slide_without_a_file_has_a_path_of_its_own(tmp_path: Path):
    """Where imported features stand for slides; no two of them are one file."""
    path = sheet(tmp_path, "slide_id,path\na,\nb,\n")
    rows, remarks = read_with_remarks(path, path_needed=False)
    assert (read_sheet(path), remarks) == (rows, [])
    assert len({row.path for row in rows}) == 2
    assert not any(row.path.exists() for row in rows)


def test_a_row_with_everything(tmp_path: Path):
    path = sheet(
        tmp_path,
        "slide_id,path,case_id,site,mpp,mask,exclude,grade\n"
        "s1,a/s1.svs,c1,north,0.25,masks/s1.geojson,yes,high\n",
    )
    assert read_sheet(path) == [
        SlideRow(
            slide_id="s1",
            path=tmp_path / "a/s1.svs",
            case_id="c1",
            site="north",
            mpp=0.25,
            mask=tmp_path / "masks/s1.geojson",
            exclude=True,
            labels={"grade": "high"},
        )
    ]


def test_two_columns_are_enough(tmp_path: Path):
    row = read_sheet(sheet(tmp_path, "path,slide_id\nx.svs,s1\n"))[0]
    assert row == SlideRow(slide_id="s1", path=tmp_path / "x.svs", case_id="s1")


def test_ids_that_look_like_numbers_stay_text(tmp_path: Path):
    rows = read_sheet(sheet(tmp_path, "slide_id,path,case_id\n0012,x,007\n12,x,1e3\n1.0,x,2.0\n"))
    assert [(row.slide_id, row.case_id) for row in rows] == [
        ("0012", "007"),
        ("12", "1e3"),
        ("1.0", "2.0"),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_dialects(tmp_path: Path, delimiter: str, bom: str, newline: str):
    lines = [["slide_id", "path", "note"], ["s1", "a.svs", '"x,y;z"'], ["s2", "b.svs", ""]]
    text = bom + newline.join(delimiter.join(line) for line in lines)
    rows = read_sheet(sheet(tmp_path, text))
    assert [(r.slide_id, r.path.name, r.labels["note"]) for r in rows] == [
        ("s1", "a.svs", "x,y;z"),
        ("s2", "b.svs", ""),
    ]


@pytest.mark.parametrize("above", ["sep=;\r\n", "# our slides, 2026; all\n", '"sep=;"\n# a\n#b\n'])
def test_lines_above_the_header(tmp_path: Path, above: str):
    text = f"{above}slide_id;path;mpp\n1;a,b.svs;\n2;b.svs;0\n"
    row = above.count("\n") + 3
    assert sentence(sheet(tmp_path, text)).startswith(f"slides.csv, row {row}, column 'mpp': ")
    (first,) = read_sheet(sheet(tmp_path, text.rpartition("2;")[0]))
    assert (first.slide_id, first.path.name) == ("1", "a,b.svs")


def test_a_label_may_be_called_by_a_hash(tmp_path: Path):
    (row,) = read_sheet(sheet(tmp_path, "#,slide_id,path\n#1,1,a.svs\n"))
    assert row.labels == {"#": "#1"}


def test_delimiter_is_not_mistaken_where_a_label_holds_others(tmp_path: Path):
    row = read_sheet(sheet(tmp_path, 'slide_id,path,"grade; low; mid; high"\ns1,a.svs,low\n'))[0]
    assert row.labels == {"grade; low; mid; high": "low"}


def test_empty_rows_spaces_and_short_rows(tmp_path: Path):
    text = "slide_id , path,mpp,grade\n\n s1 , a b.svs \n,,,\ns2,c.svs,,low,,\n"
    rows = read_sheet(sheet(tmp_path, text))
    assert [(r.slide_id, r.path.name, r.labels["grade"]) for r in rows] == [
        ("s1", "a b.svs", ""),
        ("s2", "c.svs", "low"),
    ]


def test_paths_start_from_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", "/home/me")
    path = sheet(tmp_path, "slide_id,path\n1,a.svs\n2,/data/b.svs\n3,~/c.svs\n4,~nobody9/d.svs\n")
    assert [str(row.path) for row in read_sheet(path, root="~/slides")] == [
        "/home/me/slides/a.svs",
        "/data/b.svs",
        "/home/me/c.svs",
        "/home/me/slides/~nobody9/d.svs",
    ]


def test_tcga_ids_say_case_and_site(tmp_path: Path):
    text = "slide_id,path,case_id,site\nTCGA-A7-A0CJ-01Z-00-DX1.uu,x,other,\nTCGA-33-4583,y,,lab\n"
    rows = read_sheet(sheet(tmp_path, text), case_from="tcga")
    assert [(r.case_id, r.site) for r in rows] == [("TCGA-A7-A0CJ", "A7"), ("TCGA-33-4583", "lab")]


@pytest.mark.parametrize(
    ("cell", "value"),
    [*((c, True) for c in ("1", "yes", "TRUE", "Y", "x")), *((c, False) for c in ("", "no", "0"))],
)
def test_exclude(tmp_path: Path, cell: str, value: bool):
    assert read_sheet(sheet(tmp_path, f"slide_id,path,exclude\n1,a,{cell}\n"))[0].exclude is value


UNFIT_IDS = ("a/b", "../a", "..", ".a", "-a", "a:b", "a*", "a\x1b", "a\u2028b", "é" * 101)
UNFIT = (
    'cannot be a file name; leave out / \\ : * ? " < > | and control characters, do not start '
    "with '.' or '-', keep to 200 bytes"
)
NO_MPP = (
    "must be a number above 0 and at most 100 (um per pixel), got {!r}; "
    "leave it empty to read it from the slide"
)
SENTENCES = {
    "same id twice": (
        "slide_id,path\na,x\nb,y\na,z\n",
        (
            "slides.csv, row 4, column 'slide_id': 'a' stands in row 2 already; "
            "ids must be unique; rename one"
        ),
    ),
    "ids that differ in case": (
        "slide_id,path\nab,x\nAB,y\n",
        (
            "slides.csv, row 3, column 'slide_id': 'AB' and 'ab' (row 2) differ in case alone, "
            "which some file systems take for one name; rename one"
        ),
    ),
    "no id": (
        "slide_id,path\n,x\n",
        "slides.csv, row 2, column 'slide_id': is empty; give every slide an id",
    ),
    "no path": (
        "slide_id,path\na,\n",
        (
            "slides.csv, row 2, column 'path': is empty; name the slide's file, or delete the row; "
            "only imported features (embed.patches.features) do without"
        ),
    ),
    "missing column": (
        "slide_id,file\na,x\n",
        "slides.csv, row 1: column 'path' is missing (found: slide_id, file); add it",
    ),
    "empty file": (
        "",
        "slides.csv, row 1: column 'slide_id' is missing (found: nothing); add it",
    ),
    "no rows": (
        "slide_id,path\n\n,\n",
        "slides.csv: holds no slide; add one row per slide (slide_id, path)",
    ),
    "column twice": (
        "slide_id,path,mpp,mpp\na,x,1,2\n",
        "slides.csv, row 1, column 'mpp': stands twice in the header; rename one",
    ),
    "column in capitals": (
        "slide_id,path,MPP\na,x,1\n",
        "slides.csv, row 1, column 'MPP': is not 'mpp'; write it so, or rename it if it is a label",
    ),
    "more cells than the header": (
        "slide_id,path,note\na,x,one, two\n",
        (
            "slides.csv, row 2: has 4 cells, the header 3; put a cell that holds a comma, "
            "semicolon or tab in double quotes, or take the extra ones out"
        ),
    ),
    "quote not closed": (
        'slide_id,path,note\na,x,"one\nb,y,two\n',
        (
            "slides.csv, row 2: is not CSV (unexpected end of data); look for a double quote "
            "that is not closed"
        ),
    ),
    "not UTF-8": (
        "slide_id,path\na,x\nb,Müller.svs\n".encode("latin-1"),
        "slides.csv, row 3: is not UTF-8 text; save it as 'CSV UTF-8'",
    ),
    "UTF-16": (
        "slide_id,path\na,x\n".encode("utf-16"),
        "slides.csv, row 1: is not UTF-8 text; save it as 'CSV UTF-8'",
    ),
    "NUL": (
        b"slide_id,path\na,x\nb\0,y\n",
        "slides.csv, row 3: holds a NUL character; save it as 'CSV UTF-8'",
    ),
    "exclude": (
        "slide_id,path,exclude\na,x,Maybe\n",
        "slides.csv, row 2, column 'exclude': must be yes or no, got 'Maybe'; empty means no",
    ),
    "row after a cell with line breaks": (
        'slide_id,path,note,mpp\na,x,"one\ntwo\n\nthree",1\nb,y,"four\nfive",0\n',
        f"slides.csv, row 6, column 'mpp': {NO_MPP.format('0')}",
    ),
    **{
        f"mpp {cell}": (
            f'slide_id,path,mpp\na,x,"{cell}"\n',
            f"slides.csv, row 2, column 'mpp': {NO_MPP.format(cell)}",
        )
        for cell in ("0", "-0.25", "0,25", "inf", "nan?", "101", "20x")
    },
    **{
        f"id {slide_id!r}": (
            f"slide_id,path\n{slide_id},x\n",
            f"slides.csv, row 2, column 'slide_id': {slide_id[:60]!r} {UNFIT}",
        )
        for slide_id in UNFIT_IDS
    },
}


@pytest.mark.parametrize("name", SENTENCES)
def test_sentence(tmp_path: Path, name: str):
    text, expected = SENTENCES[name]
    assert sentence(sheet(tmp_path, text)) == expected


def test_an_id_of_200_bytes_is_fit(tmp_path: Path):
    assert read_sheet(sheet(tmp_path, f"slide_id,path\n{'é' * 100},x\n"))


def test_ids_are_compared_as_people_see_them(tmp_path: Path):
    composed, decomposed = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    text = f"slide_id,path\n{composed},x\n{decomposed},y\n"
    assert "'é' stands in row 2 already" in sentence(sheet(tmp_path, text))


def test_no_tcga_barcode(tmp_path: Path):
    path = sheet(tmp_path, "slide_id,path\nTCGA-A7-A0CJ-01Z,x\ncase7,y\n")
    assert sentence(path, case_from="tcga") == (
        "slides.csv, row 3, column 'slide_id': 'case7' does not begin with a TCGA barcode "
        "(TCGA-XX-XXXX); set slides.case_from to column"
    )


def test_no_sheet(tmp_path: Path):
    assert sentence(tmp_path / "slides.csv") == (
        "slides.csv: no such sheet or folder; name one in slides.sheet "
        "(a CSV with the columns slide_id and path, or a folder of slides)"
    )


def test_sheet_that_cannot_be_read(tmp_path: Path):
    path = tmp_path / "slides.csv"
    path.symlink_to("/proc/self/mem")  # a file whose reading fails for root too
    assert sentence(path) == (
        "slides.csv: cannot be read (Input/output error); see to its rights and its disk"
    )


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_folder(tmp_path: Path):
    slides = touch(tmp_path / "slides", "b.SVS", "uuid/0012.tif", "uuid/logs/x.txt", "a.b.ndpi")
    touch(slides, "._b.svs", ".trash/c.svs", "m.mrxs", "m/Data0000.dat")
    (slides / "folder.svs").mkdir()
    rows = read_sheet(slides, root="/elsewhere")  # a folder's files lie where they lie
    assert [(r.slide_id, str(r.path.relative_to(slides))) for r in rows] == [
        ("a.b", "a.b.ndpi"),
        ("b", "b.SVS"),
        ("m", "m.mrxs"),
        ("0012", "uuid/0012.tif"),
    ]


FOLDER_SENTENCES = {
    "same stem": (
        ["one/a.svs", "two/a.tif"],
        (
            "slides/two/a.tif: 'a' is the id of slides/one/a.svs already; ids must be unique; "
            "rename one, or list the slides in a sheet"
        ),
    ),
    "case": (
        ["A.svs", "a.tif"],
        (
            "slides/a.tif: 'a' and 'A' (slides/A.svs) differ in case alone, which some file "
            "systems take for one name; rename one, or list the slides in a sheet"
        ),
    ),
    "unfit": (["x/-a.svs"], f"slides/x/-a.svs: '-a' {UNFIT}"),
    "none": (
        ["a.txt"],
        "slides: holds no slide; left out 1 .txt; add one row per slide (slide_id, path)",
    ),
}


@pytest.mark.parametrize("name", FOLDER_SENTENCES)
def test_folder_sentence(tmp_path: Path, name: str):
    files, expected = FOLDER_SENTENCES[name]
    assert sentence(touch(tmp_path / "slides", *files)) == expected


def test_folder_with_a_name_that_is_no_text(tmp_path: Path):
    touch(tmp_path / "slides", os.fsdecode(b"\xff.svs"))
    assert "cannot be a file name" in sentence(tmp_path / "slides")


def test_digest_follows_what_decides_the_pixels(tmp_path: Path):
    touch(tmp_path, "a.svs", "b.svs")
    (tmp_path / "b.svs").write_text("longer")

    def digest(cells: str) -> str:
        path = sheet(tmp_path, f"slide_id,path,mpp,mask,exclude,case_id,grade\n1,{cells}\n")
        return read_sheet(path)[0].digest()

    first = digest("a.svs,,,,,")
    assert digest("a.svs,,,,c1,high") == first  # case and labels do not
    others = {digest(f"{cells},,") for cells in ("b.svs,,,", "a.svs,1,,", "a.svs,,a,", "a.svs,,,1")}
    assert len(others | {first}) == 5
    os.utime(tmp_path / "a.svs", (1, 1))
    assert digest("a.svs,,,,,") != first


CELL = st.text(st.sampled_from('ab/.-~,;"\n\r\t \x00é\u2028'), max_size=6)
LIKELY = st.lists(st.lists(CELL, min_size=1, max_size=4).map(",".join), max_size=4).map(
    lambda lines: "\n".join(["slide_id,path,mpp,exclude", *lines]).encode()
)


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.one_of(st.binary(max_size=300), LIKELY), tcga=st.booleans())
def test_any_bytes_are_slides_or_a_sentence(tmp_path: Path, data: bytes, tcga: bool):
    rows: list[SlideRow] = []
    message = ""
    try:
        rows = read_sheet(sheet(tmp_path, data), case_from="tcga" if tcga else "column")
    except HiptError as error:
        message = str(error)
    assert ("slides.csv" in message) != bool(rows)
    assert len({row.slide_id.casefold() for row in rows}) == len(rows)
    for row in rows:
        assert row.digest()
        assert (tmp_path / row.slide_id).parent.samefile(tmp_path)
