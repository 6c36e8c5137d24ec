"""What a task has to predict, and the sentence for each mistake in its labels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.cohort.sheet import SlideRow
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError
from hipt.tasks.labels.of_task import Labelled, TaskLabels, task_labels

GRADES = ("high", "low", "high", "low")


def row(slide: str, case: str = "", site: str = "", **labels: str) -> SlideRow:
    return SlideRow(slide, Path(f"{slide}.svs"), case or slide, site, labels=labels)


def grading(**changes: object) -> TaskConfig:
    settings = {"kind": "classification", "label": "grade", "folds": 2, **changes}
    return TaskConfig.model_validate(settings)


def survival(**changes: object) -> TaskConfig:
    settings = {"kind": "survival", "time": "months", "event": "died", "folds": 2, **changes}
    return TaskConfig.model_validate(settings)


def table(folder: Path, text: str, name: str = "labels.csv") -> str:
    path = folder / name
    path.write_text(text)
    return str(path)


def sentence(
    task: TaskConfig,
    rows: list[SlideRow] | None = None,
    slides: list[str] | None = None,
    case_from: str = "column",
) -> str:
    """What the user reads, the folder left out."""
    with pytest.raises(HiptError) as error:
        task_labels("t", task, rows or [], slides, case_from)
    folder = f"{Path(task.labels).parent}/" if task.labels else ""
    return str(error.value).replace(folder, "") if folder else str(error.value)


def graded(*grades: str) -> list[SlideRow]:
    return [row(f"s{n}", f"c{n}", "north", grade=grade) for n, grade in enumerate(grades)]


def test_covariates_are_read_beside_and_a_case_has_one_of_each():
    rows = [
        row(f"s{n}", f"c{n}", age=age, grade=grade)
        for n, (age, grade) in enumerate([("61", "a"), ("nan", "b"), ("50", "a"), ("70", "b")])
    ]
    task = grading(covariates=["age"], models=["clinical"], unit="case")
    result = task_labels("t", task, [*rows, row("s4", "c0", age="61", grade="a")], None)
    assert [slide.covariates for slide in result.slides] == [
        *(("61",), ("",), ("50",), ("70",), ("61",))
    ]
    torn = sentence(task, [*rows, row("s4", "c0", age="62", grade="a")])
    assert torn == (
        "slides.sheet, slide 's4', column 'age': case 'c0' has '62' here and '61' in slide 's0'; "
        "a case has one, so correct one of them, or set unit to slide"
    )
    assert sentence(grading(covariates=["agee"], models=["clinical"]), rows) == (
        "slides.sheet: column 'agee' is missing (did you mean 'age'?); add it, correct tasks.t, or "
        "name a table in tasks.t.labels"
    )


def test_classes_of_the_sheet():
    rows = [*graded("low", "high", "low", "high", "", "nan", "other"), row("s7", "c7", grade="low")]
    task = grading(classes=["low", "high"])
    result = task_labels("t", task, rows, {f"s{n}" for n in (6, 5, 4, 3, 2, 1, 0)})
    assert result == TaskLabels(
        slides=(
            Labelled("s0", "c0", "north", "low", 0),
            Labelled("s1", "c1", "north", "high", 1),
            Labelled("s2", "c2", "north", "low", 0),
            Labelled("s3", "c3", "north", "high", 1),
        ),
        classes=("low", "high"),
        left_out=("s4", "s5", "s6"),
    )
    assert task_labels("t", grading(), rows[:4], None).classes == ("high", "low")
    assert [one.y for one in task_labels("t", grading(), rows[:4], None).slides] == [1, 0, 1, 0]


def test_excluded_slides_are_no_part_of_a_task():
    rows = [*graded(*GRADES), SlideRow("x", Path("x"), "x", exclude=True, labels={"grade": "low"})]
    for slides in (None, [one.slide_id for one in rows]):
        result = task_labels("t", grading(), rows, slides)
        assert ("x" not in result.left_out, len(result.slides)) == (True, 4)


def test_times_of_the_sheet():
    cells = [("12.5", "1"), ("3", "FALSE"), ("1e1", "1.0"), ("7", "0.0"), ("", "1"), ("5", "")]
    rows = [row(f"s{n}", months=time, died=died) for n, (time, died) in enumerate(cells)]
    result = task_labels("t", survival(), rows, None)
    assert [(one.time, one.event) for one in result.slides] == [
        (12.5, True),
        (3.0, False),
        (10.0, True),
        (7.0, False),
    ]
    assert (result.classes, result.left_out) == ((), ("s4", "s5"))
    assert (result.slides[0].label, result.slides[0].y) == (None, None)
    turned = task_labels("t", survival(event=None, censorship="died"), rows, None)
    assert [one.event for one in turned.slides] == [False, True, False, True]


def test_a_table_of_slides(tmp_path: Path):
    text = (
        "slide_id,grade,case_id,site\na.svs,high,c1,n\n0012,low,c2,\nc.PT,high,c3,s\nd,low,c4,s\n"
    )
    text += "a,high,c1,n\nzz,odd,c9,s\n"
    rows = [row("a", "mine", "lab"), row("0012")]
    task = grading(labels=table(tmp_path, text), features="f.parquet")
    result = task_labels("t", task, rows, ["a", "0012", "c", "d.svs", "e"])
    assert result.slides == (
        Labelled("0012", "c2", "", "low", 1),  # a sheet without cases does not tear them apart
        Labelled("a", "mine", "lab", "high", 0),
        Labelled("c", "c3", "s", "high", 0),
        Labelled("d.svs", "c4", "s", "low", 1),
    )
    assert result.left_out == ("e",)
    every = task_labels(
        "t", grading(labels=task.labels, features="f", split="files", split_files="s"), [], None
    )
    assert [one.slide_id for one in every.slides] == ["0012", "a", "c", "d", "zz"]


def test_a_table_of_cases(tmp_path: Path):
    labels = table(tmp_path, "\ufeffcase_id;grade\nTCGA-A7-A0CJ;high\nc2;low\nTCGA-33-4583;low\n")
    task = grading(labels=labels, features="f.parquet", folds=2, split="files", split_files="s")
    slides = ["TCGA-A7-A0CJ-01Z-00-DX1.uu", "b", "TCGA-33-4583-01Z-00-DX2.vv", "TCGA-XX-0000-01Z"]
    result = task_labels("t", task, [row("b", "c2", "lab")], slides, "tcga")
    assert result.slides == (
        Labelled("TCGA-33-4583-01Z-00-DX2.vv", "TCGA-33-4583", "33", "low", 1),
        Labelled("TCGA-A7-A0CJ-01Z-00-DX1.uu", "TCGA-A7-A0CJ", "A7", "high", 0),
        Labelled("b", "c2", "lab", "low", 1),
    )
    assert result.left_out == ("TCGA-XX-0000-01Z",)
    assert sentence(task, [], ["e"], "tcga") == (
        "tasks.t.features: slide 'e' does not begin with a TCGA barcode (TCGA-XX-XXXX); "
        "set slides.case_from to column, or give the labels a column case_id"
    )
    assert sentence(task, [], ["TCGA-A7-A0CJ-01Z"]) == (
        "labels.csv: none of 1 slides, such as 'TCGA-A7-A0CJ-01Z', has a value in 'grade'; its "
        "case_ids are such as 'TCGA-A7-A0CJ'; see that ids and columns are right, and "
        "slides.case_from"
    )


def test_zip_and_parquet_say_what_csv_says(tmp_path: Path):
    text = "slide_id,months,died\n1,2.5,1\n2,3.0,0\n3,,1\n"
    with zipfile.ZipFile(tmp_path / "labels.csv.zip", "w") as archive:
        archive.writestr("../labels.csv.zip", text)
        archive.writestr("__MACOSX/._labels.csv", b"\0")
    columns = {
        "slide_id": [1, 2, 3],
        "months": [2.5, 3.0, float("nan")],
        "died": [True, False, None],
    }
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    paths = [
        table(tmp_path, text),
        *(str(tmp_path / f"labels.{e}") for e in ("csv.zip", "parquet")),
    ]
    given = {"split": "files", "split_files": "s"}
    result = [task_labels("t", survival(labels=p, **given), [], ["1", "2", "3"]) for p in paths]
    assert result[0] == result[1] == result[2]
    assert [(o.slide_id, o.time, o.event) for o in result[2].slides] == [
        ("1", 2.5, True),
        ("2", 3, False),
    ]
    assert result[0].left_out == ("3",)


WRONG_CELLS = {
    "-1": "must be a number of months above 0, got '-1'; leave it empty if not known",
    "inf": "must be a number of months above 0, got 'inf'; leave it empty if not known",
    "12,5": "must be a number of months above 0, got '12,5'; leave it empty if not known",
    "1_0": "must be a number of months above 0, got '1_0'; leave it empty if not known",
}


@pytest.mark.parametrize("cell", WRONG_CELLS)
def test_wrong_times(tmp_path: Path, cell: str):
    labels = table(tmp_path, f'slide_id,months,died,note\na,2,1,"x\ny"\n\nb,"{cell}",0,\n')
    problem = WRONG_CELLS[cell]
    task = survival(labels=labels)
    assert sentence(task, [], ["a", "b"]) == f"labels.csv, row 5, column 'months': {problem}"
    rows = [row("a", months="2", died="1"), row("b", months=cell, died="1")]
    place = "slides.sheet, slide 'b', column 'months'"
    assert sentence(survival(), rows) == f"{place}: {problem}"
    assert task_labels("t", survival(split="files", split_files="s"), rows, ["a"]).left_out == ()


def test_wrong_events(tmp_path: Path):
    labels = table(tmp_path, "slide_id,months,died\na,2,1\nb,3,2\n")
    assert sentence(survival(labels=labels), [], ["a", "b"]) == (
        "labels.csv, column 'died': holds 1 and 2, and programs differ in which of them is the "
        "event; write 1 where the event was seen and 0 where it was not"
    )
    task = survival(labels=labels, event=None, censorship="died")
    assert "write 0 where the event was seen and 1 where it was not" in sentence(task, [], ["b"])
    labels = table(tmp_path, "slide_id,months,died\na,2,1\nb,3,lost\n")
    assert sentence(survival(labels=labels), [], ["a", "b"]) == (
        "labels.csv, row 3, column 'died': must be 1 where the event was seen and 0 where it was "
        "not, got 'lost'; leave it empty if not known"
    )


def test_all_censored(tmp_path: Path):
    labels = table(tmp_path, "slide_id,months,died\na,2,0\nb,3,0\n")
    assert sentence(survival(labels=labels), [], ["a", "b"]) == (
        "labels.csv, column 'died': all 2 slides are censored; see that 1 means that the event "
        "was seen, or add events"
    )
    rows = [row("a", months="2", died="1")]
    assert sentence(survival(event=None, censorship="died"), rows) == (
        "slides.sheet, column 'died': all 1 slides are censored; see that 1 means censored, "
        "or add events"
    )


def test_columns_that_are_missing(tmp_path: Path):
    task = grading(label="oncotree", labels=table(tmp_path, "slide_id,oncotree_code,age\na,x,1\n"))
    assert sentence(task) == (
        "labels.csv: column 'oncotree' is missing (did you mean 'oncotree_code'?); correct tasks.t"
    )
    task = grading(labels=table(tmp_path, ",slide,grade\n0,a,x\n"))
    assert sentence(task) == (
        "labels.csv: column 'slide_id' or 'case_id' is missing (found: slide, grade); add it"
    )
    assert sentence(grading(labels=table(tmp_path, ""))) == (
        "labels.csv: column 'slide_id' or 'case_id' is missing (found: nothing); add it"
    )
    wide = "case_id," + ",".join(f"{n}x" for n in range(12)) + "\n"
    assert "(found: case_id, 0x, 1x, 2x, 3x, 4x, 5x, 6x, 7x, 8x and 3 more)" in sentence(
        grading(labels=table(tmp_path, wide))
    )
    assert sentence(grading(label="gade"), graded(*GRADES)) == (
        "slides.sheet: column 'gade' is missing (did you mean 'grade'?); "
        "add it, correct tasks.t, or name a table in tasks.t.labels"
    )


def test_classes_with_which_nothing_can_be_learned():
    assert sentence(grading(), graded("low", "low", "")) == (
        "slides.sheet, column 'grade': all 2 slides are of class 'low'; a task needs two at least"
    )
    assert sentence(grading(folds=3), graded("low", "low", "low", "high", "high")) == (
        "tasks.t.folds: class 'high' of column 'grade' in slides.sheet has 2 cases, fewer than the "
        "3 folds; use fewer folds or add cases"
    )
    rows = [row(f"s{n}", "one" if n % 2 else f"c{n}", grade=g) for n, g in enumerate(GRADES)]
    assert "class 'low' of column 'grade' in slides.sheet has 1 case," in sentence(grading(), rows)
    given = grading(split="files", split_files="s")
    assert len(task_labels("t", given, rows, None).slides) == 4
    assert sentence(grading(classes=["low", "hig"]), graded(*GRADES)) == (
        "tasks.t.classes: no slide has class 'hig' in slides.sheet, column 'grade' (found: high); "
        "correct it or leave it out"
    )
    assert sentence(grading(classes=["low", "high"]), graded(*GRADES), ["s1", "s3"]) == (
        "tasks.t.classes: no slide has class 'high' in slides.sheet, column 'grade' (slides "
        "without embeddings, or excluded ones, have it); correct it or leave it out"
    )
    rows = [row("a", months="2", died="1")]
    assert sentence(survival(), rows) == (
        "tasks.t.folds: column 'months' in slides.sheet has 1 case, fewer than the 2 folds; "
        "use fewer folds or add cases"
    )


def test_nobody_has_a_value(tmp_path: Path):
    task = grading(labels=table(tmp_path, "slide_id,grade\na,x\nb,\n"), classes=["p", "q"])
    assert sentence(task, [], ["a", "b"]) == (
        "labels.csv: none of 2 slides, such as 'a', has a value of p, q in 'grade'; its slide_ids "
        "are such as 'a' (there: 1 'x'); see that ids and columns are right"
    )
    assert sentence(survival(), [row("a", months="", died="1")]) == (
        "slides.sheet: none of 1 slides, such as 'a', has a value in 'months' and 'died'; "
        "see that ids and columns are right"
    )
    assert sentence(task, [], []) == (
        "tasks.t.features: there is no slide with embeddings; see what became of the slides"
    )


def test_rows_that_contradict_each_other(tmp_path: Path):
    head = "slide_id,case_id,months,died\na,c,1.0,1\n"
    for second, problem in {
        "a.svs,c,2,1": "column 'months': 'a.svs' has '2' here and '1.0' in row 2",
        "a,c,1,0": "column 'died': 'a' has '0' here and '1' in row 2",
        "a,c,1,": "column 'died': 'a' has '' here and '1' in row 2",
        "a,d,1,1": "column 'case_id': 'a' has 'd' here and 'c' in row 2",
    }.items():
        task = survival(labels=table(tmp_path, f"{head}{second}\n"))
        expected = f"labels.csv, row 3, {problem}; keep one of the rows"
        assert sentence(task, [], ["a"]) == expected
    text = f"{head}a.svs,c,1,TRUE\nb,d,3,0\n"
    same = survival(labels=table(tmp_path, text), split="files", split_files="s")
    assert len(task_labels("t", same, [], ["a", "b"]).slides) == 2


def test_a_case_with_two_values(tmp_path: Path):
    rows = [*graded(*GRADES), row("s4", "c0", grade="low")]
    assert len(task_labels("t", grading(), rows, None).slides) == 5
    assert sentence(grading(unit="case"), rows) == (
        "slides.sheet, slide 's4', column 'grade': case 'c0' has 'low' here and 'high' in "
        "slide 's0'; a case has one, so correct one of them, or set unit to slide"
    )
    labels = table(tmp_path, "slide_id,case_id,months,died\na,c,1,1\nb,c,2,1\n")
    for unit in ("slide", "case", None):
        assert sentence(survival(labels=labels, unit=unit), [], ["a", "b"]) == (
            "labels.csv, row 3, column 'months': case 'c' has '2' here and '1' in row 2; "
            "a case has one, so correct one of them"
        )


def test_tables_that_cannot_be_read(tmp_path: Path):
    def message(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return sentence(grading(labels=str(tmp_path / name)), [], ["a"])

    missing = grading(labels=str(tmp_path / "gone.csv"))
    assert sentence(missing) == "gone.csv: no such table of labels; name one that is there"
    assert message("a.csv", b"slide_id,grade\n,x\n") == (
        "a.csv, row 2, column 'slide_id': is empty; give every row an id"
    )
    assert message("a.csv", b"slide_id,grade,grade\n") == (
        "a.csv, row 1, column 'grade': stands twice in the header; rename one"
    )
    assert message("a.csv", b"slide_id,grade\na,x,y\n") == (
        "a.csv, row 2: has 3 cells, the header 2; put a cell that holds a comma, semicolon or tab "
        "in double quotes, or take the extra ones out"
    )
    assert message("a.csv", b"slide_id,grade\na,\xfc\n") == (
        "a.csv, row 2: is not UTF-8 text; save it as 'CSV UTF-8'"
    )
    assert message("a.csv", b'slide_id,grade\na,"x\nb,y\n') == (
        "a.csv, row 2: is not CSV (unexpected end of data); look for a double quote that is not "
        "closed"
    )
    assert message("a.zip", b"PK").startswith("a.zip: is no zip that can be read (")
    assert message("a.parquet", b"PAR1").startswith(
        "a.parquet: is no Parquet file that can be read ("
    )
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", "")
        archive.writestr("b.csv", "")
    assert sentence(grading(labels=str(tmp_path / "two.zip"))) == (
        "two.zip: holds 2 files; name the CSV itself, or zip it alone"
    )


def test_tables_on_a_disk_that_fails(tmp_path: Path):
    path = tmp_path / "labels.csv"
    path.symlink_to("/proc/self/mem")  # a file whose reading fails for root too
    assert sentence(grading(labels=str(path))) == (
        "labels.csv: cannot be read (Input/output error); see to its rights and its disk"
    )
