"""Generated documents are fresh, links lead somewhere, and code that is named is there."""

from __future__ import annotations

import ast
import re
import runpy
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
GENERATED = runpy.run_path(str(ROOT / "docs" / "generate.py"))["files"]()
TOP = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "config/README.md"]
PAGES = [*(ROOT / name for name in TOP), *sorted((ROOT / "docs").rglob("*.md"))]
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("[0-9]*.md"))

LINK = re.compile(r"\]\(([^)\s]+)\)")
PLACE = re.compile(r"`((?:hipt|tests|docs|workflow|config)/[\w./-]+)(?:::(\w+))?`")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def names_in(path: Path) -> set[str]:
    """Functions, classes and constants at the top of a module."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return found


@pytest.mark.parametrize("path", GENERATED)
def test_generated_files_are_fresh(path: str):
    there = (ROOT / path).read_text(encoding="utf-8")
    assert there == GENERATED[path], f"{path} is stale: make docs"


def test_every_key_has_its_row():
    page = GENERATED["docs/config.md"]
    for key in re.findall(r"^\s*(\w+):", (ROOT / "config" / "config.yaml").read_text(), re.M):
        assert f"| `{key}` |" in page or re.search(rf"^## ([\w.]+\.)?{key}$", page, re.M), key


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path):
    for link in LINK.findall(page.read_text()):
        if link.startswith(("https://", "http://", "mailto:", "#")):
            continue
        target = (page.parent / link.partition("#")[0]).resolve()
        assert target.exists(), f"{name_of(page)}: no {link}"


@pytest.mark.parametrize("folder", ["hipt", "workflow", "config"])
def test_pages_that_sources_name_are_there(folder: str):
    named = set()
    for path in (ROOT / folder).rglob("*.*"):
        if path.suffix in {".py", ".smk", ".rst", ".yaml", ".html", ".js"}:
            named |= set(re.findall(r"\bdocs/[\w/-]+\.\w+", path.read_text(encoding="utf-8")))
    assert named
    assert not {name for name in named if not (ROOT / name).exists()}


def test_code_that_the_paper_page_names_is_there():
    rows = [row for row in (ROOT / "docs" / "paper.md").read_text().splitlines() if row[:1] == "|"]
    places = [place for row in rows for place in PLACE.findall(row)]
    assert len(places) > 30
    for path, name in places:
        assert (ROOT / path).is_file(), path
        assert not name or name in names_in(ROOT / path), f"{path} has no {name}"


def test_every_statement_of_the_paper_has_a_function_and_a_test():
    page = (ROOT / "docs" / "paper.md").read_text()
    table = page.partition("## What is where")[2].partition("##")[0]
    rows = [row.split("|")[1:-1] for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(rows) > 10
    for statement, source, function, test in rows:
        assert set(source.strip().split(", ")) <= {"paper", "code", "weights"}, statement
        assert all(path.startswith("hipt/") for path, _ in PLACE.findall(function)), statement
        tests = PLACE.findall(test)
        assert tests, statement
        assert all(path.startswith("tests/") and name for path, name in tests), statement


def test_decisions_are_numbered():
    assert [path.name[:4] for path in DECISIONS] == [f"{i:04}" for i, _ in enumerate(DECISIONS, 1)]


@pytest.mark.parametrize("path", DECISIONS, ids=name_of)
def test_decisions_are_short(path: Path):
    text = path.read_text()
    assert text.startswith(f"# {int(path.name[:4])}. ")
    assert text.count("\n") <= 40
    assert [text.count(f"**{part}.**") for part in ("Context", "Decision", "Consequences")] == [
        1
    ] * 3
