"""The report's section on tasks, read as a person would: pictures, words, hostile names."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from markupsafe import escape

from hipt.config.config import Config
from hipt.config.step_settings import ReportSettings
from hipt.pictures.figure import COLOURS
from hipt.steps import report
from hipt.store.images import write_jpeg
from hipt.store.tables import write_rows
from hipt.tasks.schemas import LEAKS
from tests import taskmaker
from tests.steps.test_report import HOSTILE, Opened, cohort, row
from tests.taskmaker import MadeTask

TWO = {"linear": 0.5, "hipt": 1.5}
SVG = re.compile(r"<svg .*?</svg>", re.DOTALL)
FIGURE = re.compile(r'<figure class="drawn">.*?</figure>', re.DOTALL)


def page(*made: MadeTask) -> Path:
    root = made[0].results.root
    config = Config.model_validate({"tasks": {it.name: it.task for it in made}})
    report.run(cohort(root, [row(1)]), root / "report.html", ReportSettings(config=config))
    return root / "report.html"


def section(path: Path) -> str:
    return path.read_text().split('<section id="tasks"')[1].split("</section>")[0]


def pictures(root: Path, slides: int) -> None:
    for slide in range(slides):
        path = root / "tile" / f"s{slide:03}.jpg"
        path.parent.mkdir(exist_ok=True)
        write_jpeg(path, np.full((60, 80, 3), 200, np.uint8))


def test_tables_figures_and_errors_of_both_kinds(tmp_path: Path):
    given = {"hipt": {1.0: [0.879, 0.062]}}
    grade = taskmaker.classes(tmp_path, "grade", ["IDC", "ILC"], TWO, 120, published=given)
    death = taskmaker.survival(tmp_path, "death", TWO, 90)
    pictures(tmp_path, 120)
    text = section(page(grade, death))
    assert "AUC, published" in text
    assert "0.879 ± 0.062" in text
    assert text.count("published") == 1  # death has none
    for words in (
        "ROC: ILC told from IDC",
        "expected calibration error 0.",
        "No log-rank p",
        "At risk",
    ):
        assert words in text
    assert "Worst errors of hipt" in text
    assert text.count('alt="Overview of s') == 8
    assert 'href="tile/s' in text
    assert "Early event, low risk" in text
    assert "p from the bootstrap over cases; corrected (Holm) for all pairs of the same" in text


def test_the_page_starts_with_what_the_tasks_came_to(tmp_path: Path):
    grade = taskmaker.classes(tmp_path, "grade", ["a", "b"], {"linear": 0.0, "hipt": 3.0}, 120)
    death = taskmaker.survival(tmp_path, "death", TWO, 90)
    whole = page(grade, death).read_text()
    assert whole.index('id="short"') < whole.index('id="cohort"')
    short = whole.split('<section id="short"')[1].split("</section>")[0]
    told = re.findall(r'<tr[^>]*><th scope="row">(\w+).*?</tr>', short)
    assert told == ["linear", "hipt"] * 2
    of_grade = short.split("<tbody>")[1]
    known, unknown = (
        of_grade.split(f'<th scope="row">{model}')[1].split("</tr>")[0]
        for model in ("hipt", "linear")
    )
    assert "<strong>1.000</strong>" in known
    assert "<strong>" not in unknown  # its interval holds 0.5
    for target in re.findall(r'href="#([\w-]+)"', short):
        assert f'id="{target}"' in whole


def test_the_audit_in_words(tmp_path: Path):
    clean = taskmaker.classes(tmp_path, "clean", ["a", "b"], TWO)
    leaky = taskmaker.classes(tmp_path, "leaky", ["a", "b"], TWO)
    own = taskmaker.classes(tmp_path, "own", ["a", "b"], TWO)
    own.task["features"] = "features.parquet"
    rows = [
        ("content", "copy, s1"),
        ("content", "copy, s1"),
        ("corpus", "s2"),
        ("corpus_case", "c"),
    ]
    written = [
        {"fold": fold, "kind": kind, "value": value, "sides": "train test", "slides": 2}
        for fold, (kind, value) in enumerate(rows)
    ]
    write_rows(leaky.results.task("leaky", "leaks.parquet"), written, LEAKS)
    config = Config.model_validate(
        {
            "tasks": {made.name: made.task for made in (clean, leaky, own)},
            "embed": {"patches": {"weights": "/models/released.pth"}},
        }
    )
    report.run(cohort(tmp_path, [row(1)]), tmp_path / "report.html", ReportSettings(config=config))
    texts = [" ".join(part.split()) for part in section(tmp_path / "report.html").split("<h3 ")[1:]]
    nobody = "No case, no site and no slide under two names is on two sides of a fold, and no slide"
    unknown = "What {} learned from is not known: no list of slides lies beside it."
    assert nobody in texts[0]
    assert unknown.format("released.pth") in texts[0]
    assert (
        "Over all folds, 2 slides on two sides under several names, 1 test slides in the "
        "pretraining corpus, 1 test cases of which another slide was in the pretraining corpus."
    ) in texts[1]
    assert nobody in texts[2]
    assert unknown.format("features.parquet") in texts[2]


def test_figures_are_xml_with_title_and_description(tmp_path: Path):
    made = taskmaker.classes(tmp_path, "grade", ["a", HOSTILE], TWO, 120)
    other = taskmaker.survival(tmp_path, "death", TWO, 90)
    whole = page(made, other)
    figures = FIGURE.findall(section(whole))
    assert len(figures) == 4
    ids = set()
    for figure in figures:
        tree = ElementTree.fromstring(SVG.search(figure)[0])
        labels = tree.attrib["aria-labelledby"].split()
        assert all(re.search(rf'id="{label}"[^>]*>[^<]', figure) for label in labels)
        assert all(f"stroke: {colour}" in figure for colour in COLOURS[:2])
        ids |= {node.attrib["id"] for node in tree.iter() if "id" in node.attrib} | set(labels)
        assert "nan" not in figure
    assert len(ids) == len(re.findall(r'\bid="', "".join(figures)))
    assert f"ROC: {escape(HOSTILE)} told from a" in figures[0]
    named = list((tmp_path / "figures").iterdir())
    assert {path.name for path in named} == set(
        re.findall(r'href="figures/([\w.-]+)"', whole.read_text())
    )
    assert {path.suffix for path in named} == {".pdf", ".svg"}


@pytest.mark.browser
def test_hostile_names_are_text_and_the_scores_can_be_saved(tmp_path: Path, browser: Any):
    renamed = {f"s{i:03}": f"{HOSTILE}{i}" for i in range(120)} | {"c000": HOSTILE}
    made = taskmaker.classes(tmp_path, "grade", ["a", HOSTILE], TWO, 120, renamed)
    it = Opened(browser, page(made))
    words = it.page.locator("#tasks").inner_text()
    assert f"ROC: {HOSTILE} told from a".replace("\u2028", "") in words.replace("\u2028", "")
    assert "alert(1)" in it.page.locator(".worst").inner_text()
    assert it.page.locator("img[src=x]").count() == 0
    with it.page.expect_download() as download:
        it.page.click("#tasks a[download]")
    download.value.save_as(tmp_path / "got.csv")
    assert download.value.suggested_filename == "grade.scores.csv"
    with (tmp_path / "got.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["model"] for r in rows} == TWO.keys()
    assert it.complaints == []
    it.page.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_sticks_out_on_a_phone(tmp_path: Path, browser: Any, scheme: str):
    made = taskmaker.classes(tmp_path, "grade", ["a", "b", "c"], TWO, 120)
    other = taskmaker.survival(tmp_path, "death", TWO, 90)
    path = page(made, other)
    phone = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme=scheme)
    phone.goto(path.as_uri())
    assert phone.evaluate("document.documentElement.scrollWidth") <= 360
    for figure in phone.locator(".drawn > svg").all():
        box = figure.bounding_box()
        assert box["width"] > 250
        assert box["x"] + box["width"] <= 360
        assert figure.evaluate("e => getComputedStyle(e).backgroundColor") == "rgb(255, 255, 255)"
    phone.close()
