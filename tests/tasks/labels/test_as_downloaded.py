"""Tables of registries as they are downloaded, and words where nothing is known."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hipt.cohort.sheet import SlideRow
from hipt.config.tasks import TaskConfig
from hipt.errors import HiptError
from hipt.tasks.labels.facts import sentences
from hipt.tasks.labels.of_task import TaskLabels, task_labels

CASES = [f"TCGA-ZZ-A{n:03}" for n in range(8)]
ROWS = [SlideRow(f"{case}-01Z-00-DX1", Path("x.svs"), case, "ZZ") for case in CASES]
CBIOPORTAL = (
    "#Patient Identifier\tOverall Survival (Months)\tOverall Survival Status\tSubtype\n"
    "#Identifier to uniquely specify a patient.\tmonths\tstatus\tPAM50\n"
    "#STRING\tNUMBER\tSTRING\tSTRING\n#1\t1\t1\t1\nPATIENT_ID\tOS_MONTHS\tOS_STATUS\tSUBTYPE\n"
)
VALUES = (
    *("0\t0:LIVING\tLumA", "12.4\t1:DECEASED\tLumB", "3.1\t0:LIVING\tNA", "44\t1:DECEASED\tLumA"),
    *("5.5\t0:LIVING\tLumB", "NA\t1:DECEASED\tLumA", "61\t0:LIVING\tNA", "[Not Available]\t\tLumB"),
)


def task(kind: str, labels: Path | str | None = None, **values: object) -> TaskConfig:
    given = {"kind": kind, "folds": 2, "labels": labels and str(labels), **values}
    return TaskConfig.model_validate(given)


def survival(labels: Path | None = None, time: str = "m", **values: object) -> TaskConfig:
    event = {} if "censorship" in values else {"event": "e"}
    return task("survival", labels, **{"time": time, **event, **values})


def grading(labels: Path | None = None, **values: object) -> TaskConfig:
    return task("classification", labels, **{"label": "grade", **values})


def read(settings: TaskConfig, rows: list[SlideRow] = ROWS, **options: object) -> TaskLabels:
    return task_labels("t", settings, rows, None, "tcga", **options)


def sentences_of(labels: TaskLabels, settings: TaskConfig) -> list[str]:
    return list(sentences(labels.facts, settings.columns))


def refused(settings: TaskConfig, rows: list[SlideRow] = ROWS) -> str:
    with pytest.raises(HiptError) as error:
        read(settings, rows)
    return str(error.value).rpartition("/")[2]


def written(folder: Path, text: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def graded(*grades: str) -> list[SlideRow]:
    return [
        SlideRow(f"s{n}", Path("x"), f"c{n}", labels={"grade": grade})
        for n, grade in enumerate(grades)
    ]


@pytest.fixture
def cbioportal(tmp_path: Path) -> Path:
    lines = [f"{case}\t{values}" for case, values in zip(CASES, VALUES, strict=True)]
    return written(tmp_path, CBIOPORTAL + "\n".join(lines), "data_clinical_patient.txt")


def test_survival_of_cbioportal(cbioportal: Path):
    settings = task("survival", cbioportal, time="OS_MONTHS", event="OS_STATUS")
    labels = read(settings)
    assert [(s.case_id[-1], s.time, s.event) for s in labels.slides] == [
        *[("1", 12.4, True), ("2", 3.1, False), ("3", 44.0, True), ("4", 5.5, False)],
        ("6", 61.0, False),
    ]
    assert sentences_of(labels, settings) == [
        "5 of 8 slides have time and event: event seen 2 (2 cases), event not seen 3 (3 cases)",
        "2 of 8 slides have no time or event, left out: 1 'NA', 1 '[Not Available]'",
        "1 of 8 slides has a time of 0, left out (zero_months can keep them)",
        "OS_STATUS: '0:LIVING' is event not seen (3), '1:DECEASED' is event seen (2)",
        "PATIENT_ID of data_clinical_patient.txt is taken as case_id",
    ]


def test_months_in_place_of_zero(cbioportal: Path):
    settings = task("survival", cbioportal, time="OS_MONTHS", event="OS_STATUS", zero_months=0.5)
    labels = read(settings)
    assert (labels.slides[0].time, labels.slides[0].event) == (0.5, False)
    assert "1 of 8 slides has a time of 0, taken as 0.5 months" in sentences_of(labels, settings)


def test_subtypes_of_cbioportal(cbioportal: Path):
    settings = task("classification", cbioportal, label="SUBTYPE")
    labels = read(settings)
    assert (labels.classes, len(labels.slides)) == (("LumA", "LumB"), 6)
    assert sentences_of(labels, settings)[:2] == [
        "6 of 8 slides have a label: LumA 3 (3 cases), LumB 3 (3 cases)",
        "2 of 8 slides have no label, left out: 2 'NA'",
    ]


def test_status_named_as_censorship_is_refused(cbioportal: Path):
    settings = task("survival", cbioportal, time="OS_MONTHS", censorship="OS_STATUS")
    assert refused(settings) == (
        "data_clinical_patient.txt, column 'OS_STATUS': '0:LIVING' says itself what it means, and "
        "its 1 is the event; name this column in event, and not in censorship"
    )


def test_clinical_table_of_gdc(tmp_path: Path):
    uuid = "6d10d4ee-6331-4bba-93bc-a7b64cc0b2{:02}"
    days = ["'--", *(str(30 * n + 400) for n in range(1, 8))]
    status = ["Alive", "Dead"] * 4
    rows = zip(CASES, status, days, strict=True)
    lines = [f"{uuid.format(n)}\t" + "\t".join(row) for n, row in enumerate(rows)]
    lines *= 2  # a row per treatment
    header = "case_id\tcase_submitter_id\tvital_status\tdays\n"
    path = written(tmp_path, header + "\n".join(lines), "clinical.tsv")
    settings = survival(path, time="days", event="vital_status")
    labels = read(settings)
    assert len(labels.slides) == 7
    assert sentences_of(labels, settings)[1:] == [
        '1 of 8 slides has no time or event, left out: 1 "\'--"',
        "vital_status: 'Dead' is event seen (4), 'Alive' is event not seen (3)",
        "the median of days is 520, which looks like days; months are expected: divide by 30.4375",
        "case_submitter_id of clinical.tsv is taken as case_id",
    ]


def test_survival_of_xena(tmp_path: Path):
    lines = [f"{case}-01\t{n % 2}\t{case}\t{400 + n}" for n, case in enumerate(CASES)]
    path = written(tmp_path, "sample\tOS\t_PATIENT\tOS.time\n" + "\n".join(lines), "xena.tsv")
    assert len(read(survival(path, time="OS.time", event="OS")).slides) == 8


def test_all_wrong_times_in_one_sentence(tmp_path: Path):
    times = ["1", "-2", "3", "x", "12,5", "-1", "-1", "-1"]
    lines = [f'{case},"{m}",{n % 2}' for n, (case, m) in enumerate(zip(CASES, times, strict=True))]
    path = written(tmp_path, "case_id,m,e\n" + "\n".join(lines))
    assert refused(survival(path)) == (
        "labels.csv, column 'm': must be a number of months above 0, got '-2' in row 3, 'x' in row "
        "5, '12,5' in row 6, '-1' in row 7, '-1' in row 8 and 1 more; leave it empty if not known "
        "(6 rows)"
    )


def test_a_coding_is_judged_by_the_whole_column(tmp_path: Path):
    lines = [f"{case},{n + 1},1" for n, case in enumerate(CASES)]
    path = written(tmp_path, "case_id,m,e\n" + "\n".join([*lines, "elsewhere,3,2"]))
    assert "holds 1 and 2" in refused(survival(path))  # the cohort itself has nothing but 1


def test_cases_without_a_name_are_refused(tmp_path: Path):
    path = written(tmp_path, "case_id,grade\nc0,a\nNA,b\nunknown,a\n")
    assert refused(grading(path)) == (
        "labels.csv, column 'case_id': must be an id, got 'NA' in row 3, 'unknown' in row 4; give "
        "every row one, or delete it (2 rows)"
    )


@pytest.mark.parametrize("word", ["NA", "[Not Available]", "None", "unknown", "-", "n/a", "NaN "])
def test_words_are_no_class(word: str):
    settings = grading()
    labels = read(settings, graded("a", "b", "a", "b", word, word))
    assert (labels.classes, labels.left_out) == (("a", "b"), ("s4", "s5"))
    assert sentences_of(labels, settings)[1] == (
        f"2 of 6 slides have no label, left out: 2 '{word}'"
    )


def test_numbers_of_pandas_that_are_none(tmp_path: Path):
    columns = {"case_id": CASES, "grade": [1.0, 2.0, float("nan"), None, 1.0, 2.0, 1.0, 2.0]}
    pq.write_table(pa.table(columns), tmp_path / "labels.parquet")
    labels = read(grading(tmp_path / "labels.parquet"))
    assert (labels.classes, len(labels.left_out)) == (("1.0", "2.0"), 2)


def test_a_word_that_is_not_listed_is_refused_until_somebody_decides():
    rows = graded("a", "b", "a", "b", "n.d.", "[Completed]")
    assert refused(grading(), rows) == (
        "slides.sheet, column 'grade': classes (cases) that read like a value that is not known: "
        "'n.d.' (1), '[Completed]' (1); add such a word to slides.missing, or name all classes in "
        "tasks.t.classes if it is one"
    )
    missing = read(grading(), rows, missing=["N.D.", "[Completed]"])
    assert missing.left_out == ("s4", "s5")
    chosen = read(grading(classes=["a", "b"]), rows)
    assert chosen.left_out == ("s4", "s5")


def test_what_is_named_in_classes_is_a_class():
    settings = grading(classes=["None", "liver"])
    rows = graded("None", "liver", "None", "liver", "NA", "none")
    labels = read(settings, rows)
    assert [s.label for s in labels.slides] == ["None", "liver", "None", "liver"]
    assert sentences_of(labels, settings)[1:] == [
        "2 of 6 slides have no label, left out: 1 'NA', 1 'none'",
        "'None' is named in classes, so it is a class and no missing value",
    ]


def test_a_minus_beside_a_plus():
    rows = graded("+", "-", "+", "-", "++", "++")
    assert refused(grading(), rows) == (
        "slides.sheet, column 'grade': '-' stands beside '+', and is one of slides.missing; name "
        "all classes in tasks.t.classes if it is one"
    )
    assert len(read(grading(classes=["-", "+", "++"]), rows).slides) == 6


def test_fewer_events_than_folds_are_refused():
    rows = [
        SlideRow(f"s{n}", Path("x"), f"c{n}", labels={"m": str(n + 1), "e": str(int(n < 2))})
        for n in range(10)
    ]
    assert refused(survival(folds=3), rows) == (
        "tasks.t.folds: an event in column 'e' in slides.sheet has 2 cases, fewer than the 3 "
        "folds; use fewer folds or add cases"
    )


def test_slides_without_a_site_are_counted_where_sites_decide():
    rows = [
        SlideRow(f"s{n}", Path("x"), f"c{n}", "N" * (n > 1), labels={"grade": "ab"[n % 2]})
        for n in range(6)
    ]
    settings = grading(split="site")
    assert sentences_of(read(settings, rows), settings)[-1] == (
        "2 slides have no site: each of their cases counts as a site of its own"
    )


def test_all_slides_that_contradict_themselves_are_named(tmp_path: Path):
    lines = [f"s{n},{'ab'[n % 2]}" for n in range(4)]
    path = written(tmp_path, "slide_id,grade\n" + "\n".join([*lines, "s0,b", "s1,a", "s3,a"]))
    rows = [SlideRow(f"s{n}", Path("x"), f"s{n}") for n in range(4)]
    assert refused(grading(path), rows) == (
        "labels.csv, row 6, column 'grade': 's0' has 'b' here and 'a' in row 2; keep one of the "
        "rows (2 more slides are at fault: s1, s3)"
    )


def test_all_cases_with_two_values_are_named():
    rows = [
        SlideRow(f"s{n}", Path("x"), f"c{n // 2}", labels={"grade": "ab"[n % 2]}) for n in range(6)
    ]
    assert refused(grading(unit="case"), rows).endswith(
        "case 'c0' has 'b' here and 'a' in slide 's0'; a case has one, so correct one of them, or "
        "set unit to slide (2 more cases have two: c1, c2)"
    )


def test_all_rows_with_too_many_cells_are_named(tmp_path: Path):
    path = written(tmp_path, "slide_id,grade\na,x,y\nb,x\nc,x,y\n")
    assert refused(grading(path)) == (
        "labels.csv, row 2: has 3 cells, the header 2; put a cell that holds a comma, semicolon or "
        "tab in double quotes, or take the extra ones out (1 more row is at fault: 4)"
    )
