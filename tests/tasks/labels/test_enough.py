"""Labels with which nothing can be learned, or which are not what they seem."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.cohort.sheet import SlideRow
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError
from hipt.tasks.labels.of_task import TaskLabels, task_labels

ROWS = [SlideRow(f"s{n}", Path(f"s{n}.svs"), f"c{n}") for n in range(8)]


def read(folder: Path, lines: list[str], rows: list[SlideRow] = ROWS, **keys: object) -> TaskLabels:
    path = folder / "labels.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    kind = "classification" if "label" in keys else "survival"
    given = {"kind": kind, "folds": 2, "labels": str(path), **keys}
    return task_labels("t", TaskConfig.model_validate(given), rows, None)


def refused(folder: Path, lines: list[str], **keys: object) -> str:
    with pytest.raises(HiptError) as error:
        read(folder, lines, **keys)
    return str(error.value).replace(f"{folder}/", "")


def notes(labels: TaskLabels) -> list[str]:
    return [fact.value for fact in labels.facts if fact.kind == "note"]


def classes(*labels: str) -> list[str]:
    return ["slide_id,grade", *(f"s{n},{labels[n % len(labels)]}" for n in range(8))]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("Tumor", "tumor"), ("Lum A", "Lum  A"), ("Lum A", "Lum\u00a0A"), ("0", "0.0")),
        *(("1", "01"), ("ade\u0301nome", "ad\u00e9nome")),
    ],
)
def test_one_class_written_in_two_ways(tmp_path: Path, one: str, other: str):
    lines = classes(one, other, "else", "else")
    assert refused(tmp_path, lines, label="grade") == (
        "labels.csv, column 'grade': classes (cases) that differ in their writing alone: "
        f"{one!a} (2) and {other!a} (2); write each class in one way, or name all classes in "
        "tasks.t.classes"
    )
    wanted = ["else", one, other]
    assert read(tmp_path, lines, label="grade", classes=wanted).classes == tuple(wanted)


@pytest.mark.parametrize(
    "labels", [("δ", "λ"), ("腺癌", "鳞癌"), ("1", "10"), ("G1", "G2"), ("T", "T+")]
)
def test_classes_that_differ(tmp_path: Path, labels: tuple[str, str]):
    assert read(tmp_path, classes(*labels), label="grade").classes == labels


@pytest.mark.parametrize("word", ["#REF!", "#DIV/0!", "#NAME?", "unbekannt", "k.A.", "inconnu"])
def test_words_of_spreadsheets_and_languages(tmp_path: Path, word: str):
    problem = f"classes (cases) that read like a value that is not known: '{word}' (2)"
    assert problem in refused(tmp_path, classes(word, "a", "b", "a"), label="grade")


def survival(*cells: str) -> list[str]:
    return ["slide_id,m,status", *(f"s{n},{cells[n % 2]}" for n in range(8))]


def test_events_without_a_time_are_named(tmp_path: Path):
    lines = survival("12,Alive", "'--,Dead")
    assert refused(tmp_path, lines, time="m", event="status") == (
        "labels.csv, column 'status': all 4 slides with a time are censored, and 4 with an event "
        "have none; give them the time of the event in column 'm'"
    )


def test_nobody_is_censored_since_followed_slides_have_no_time(tmp_path: Path):
    lines = survival("'--,Alive", "12,Dead")
    (note,) = notes(read(tmp_path, lines, time="m", event="status"))
    assert note == (
        "all 4 slides with a time have the event, and 4 without it have no time: give them the "
        "time of their last follow-up"
    )


def test_a_table_that_names_another_case(tmp_path: Path):
    lines = ["slide_id,case_id,grade", *(f"s{n},d{n // 2},{'ab'[n % 2]}" for n in range(8))]
    rows = [SlideRow(f"s{n}", Path("x"), f"c{n}" if n < 6 else f"s{n}") for n in range(6)]
    (note,) = notes(read(tmp_path, lines, rows, label="grade"))
    assert note.replace(f"{tmp_path}/", "") == (
        "6 slides have another case in labels.csv than in the sheet, whose case is taken: 's0' has "
        "'d0' there and 'c0' in the sheet"
    )
    assert not notes(read(tmp_path, lines, [SlideRow(r.slide_id, r.path, r.slide_id) for r in ROWS],
                          label="grade"))  # fmt: skip


def test_a_table_without_rows(tmp_path: Path):
    assert refused(tmp_path, ["slide_id,grade"], label="grade") == (
        "labels.csv: has no row below its header; add one per slide or case"
    )


def test_a_column_of_the_sheet_that_is_no_label():
    task = TaskConfig.model_validate({"kind": "classification", "label": "mpp", "folds": 2})
    with pytest.raises(HiptError) as error:
        task_labels("t", task, ROWS, None)
    assert str(error.value) == (
        "slides.sheet, column 'mpp': has a meaning of its own and is no label; copy it under "
        "another name, or correct tasks.t"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_of_any_system_below_comments(tmp_path: Path, end: str):
    path = tmp_path / "labels.csv"
    text = end.join(["#Patient, sort;of", "sep=;", "#x", *classes("a", "b")])
    path.write_bytes(text.encode())
    task = TaskConfig.model_validate(
        {"kind": "classification", "label": "grade", "folds": 2, "labels": str(path)}
    )
    with_sep = text.replace("#Patient, sort;of" + end, "").replace("#x" + end, "")
    for content in (text.replace("sep=;" + end, ""), with_sep.replace(",", ";")):
        path.write_bytes(content.encode())
        assert len(task_labels("t", task, ROWS, None).slides) == 8


def test_a_table_of_samples(tmp_path: Path):
    lines = ["SAMPLE_ID,grade", "TCGA-ZZ-A000-01,a"]
    assert refused(tmp_path, lines, label="grade") == (
        "labels.csv: column 'slide_id' or 'case_id' is missing (found: SAMPLE_ID, grade); "
        "'SAMPLE_ID' names samples; add the patient of each as case_id, or its slide as slide_id"
    )
