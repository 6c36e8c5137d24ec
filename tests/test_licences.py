"""Every package's licence is allowed or explained, every version is locked, the page is fresh."""

from __future__ import annotations

import hashlib
import re
import runpy
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.version import Version

from tests.test_environment import pins

ROOT = Path(__file__).parent.parent
LICENCES = runpy.run_path(str(ROOT / "docs" / "licences.py"))
WANTED = LICENCES["wanted"]()
allowed, licence, reason = (LICENCES[name] for name in ("allowed", "licence", "reason"))


@pytest.mark.parametrize("name", WANTED)
def test_a_package_is_locked(name: str):
    held = [one for one, marker in pins().get(name, []) if marker is None or marker.evaluate()]
    assert held, f"{name} is not in constraints.txt; docs/decisions/0010 says how it is made"
    assert held == [Version(version(name).partition("+")[0])], f"{name} is installed otherwise"


@pytest.mark.parametrize("name", WANTED)
def test_a_licence_is_allowed_or_explained(name: str):
    text = licence(name)
    assert allowed(text) or reason(name), (
        f"{name} is under {text}; find another package, or say in docs/licences.py why it can be "
        "used under MIT"
    )


def test_the_page_lists_what_is_needed():
    listed = LICENCES["listed"]()
    # Elsewhere a marker may leave a package out, or hold another version of it.
    one_version = {name for name, held in pins().items() if len(held) == 1}
    for name in WANTED:
        assert name in listed, f"{name} is not in docs/licences.md: make docs"
        if name in one_version:
            assert listed[name] == licence(name), f"{name} in docs/licences.md is stale: make docs"
    assert set(listed) <= set(pins()), "docs/licences.md lists what is not locked: make docs"


def test_exceptions_are_in_use_and_on_the_page():
    page = (ROOT / "docs" / "licences.md").read_text()
    for name, why in LICENCES["NAMED"].items():
        assert name in pins(), f"{name} is no longer needed"
        assert f"| {name} | {why} |" in page
        if name in WANTED:
            assert not allowed(licence(name)), f"{name} needs no exception"


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("MIT", True),
        ("MIT AND BSD-3-Clause", True),
        ("MIT AND GPL-2.0-only", False),
        ("GPL-2.0-only OR MIT", True),
        ("(BSD-3-Clause OR GPL-2.0-only) AND MIT", True),
        ("MIT OR (Apache-2.0 AND LGPL-2.1-only", False),
        ("Apache-2.0 WITH LLVM-exception AND MIT", True),
        ("GPL-3.0-only WITH GCC-exception-3.1", False),
        ("BSD-3-Clause AND (LGPL-2.1-only OR MPL-1.1)", False),
        ("unknown", False),
        ("", False),
        ("MIT MIT", False),
    ],
)
def test_expressions(expression: str, *, holds: bool):
    assert allowed(expression) is holds


@pytest.mark.parametrize("name", LICENCES["VENDORED"])
def test_a_file_of_others_is_unchanged_and_has_its_licence_beside_it(name: str):
    what, under, why = LICENCES["VENDORED"][name]
    page = ROOT / "hipt" / "view" / "page"
    assert why.endswith(f"sha256 {hashlib.sha256((page / name).read_bytes()).hexdigest()}")
    assert what.lower() in (page / name).read_text()[:100]
    assert under in LICENCES["ALLOWED"]
    beside = name.replace(".min.js", ".LICENSE.txt")
    assert "Redistributions in binary form must reproduce" in (page / beside).read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"hipt/view/page/{beside}" in project["license-files"]
    assert (
        f"| hipt/view/page/{name} | {what} | {under} | {why} |"
        in (ROOT / "docs" / "licences.md").read_text()
    )


def test_nobody_else_s_file_comes_unseen():
    found = {path.name for path in (ROOT / "hipt").rglob("*.min.*")}
    assert found == set(LICENCES["VENDORED"])


def test_copyleft_is_not_imported():
    """What is under GPL is a command: no module of ours imports it."""
    strict = {n.replace("-", "_") for n in WANTED if re.search(r"(?<!L)GPL", licence(n))}
    strict -= {"openslide_bin", "docutils"}  # an alternative in brackets; a file that is left out
    assert strict == {"codespell"}
    for path in (ROOT / "hipt").rglob("*.py"):
        assert not re.search(r"^\s*(import|from) (codespell|docutils)", path.read_text(), re.M)
