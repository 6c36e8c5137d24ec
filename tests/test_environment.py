"""pyproject.toml, environment.yml and constraints.txt ask for the same; versions agree."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import yaml
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version
from setuptools import Distribution
from setuptools.config.pyprojecttoml import apply_configuration

from hipt import __version__

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NEEDED = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = [Requirement(t) for extra in PROJECT["optional-dependencies"].values() for t in extra]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
PINNED = (ROOT / "constraints.txt").read_text().splitlines()

CONDA_NAME = {
    "matplotlib": "matplotlib-base",
    "opencv-python-headless": "py-opencv",
    "openslide-bin": "openslide",
    "snakemake": "snakemake-minimal",
    "torch": "pytorch",
}
"""Packages that conda calls otherwise."""

TOOLS = {"python", "pip"}
"""What conda has to be told and pyproject.toml cannot say as a dependency."""

PIN = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[0-9][0-9a-z.]*)(?: ; (?P<marker>.+))?"
)


def conda_bounds() -> dict[str, str]:
    """What environment.yml asks for: specifiers by name."""
    texts = CONDA["dependencies"]
    assert all(isinstance(text, str) for text in texts), "nothing comes from pip"
    parts = [re.fullmatch(r"([a-z0-9_-]+)(.*)", text) for text in texts]
    assert len({part[1] for part in parts if part}) == len(texts)
    return {part[1]: part[2] for part in parts if part}


def pins() -> dict[str, list[tuple[Version, Marker | None]]]:
    """The pinned versions by name, each with its marker."""
    found = defaultdict(list)
    for line in PINNED:
        pin = PIN.fullmatch(line)
        assert pin, f"constraints.txt: {line!r} is not name==version[ ; marker]"
        marker = Marker(pin["marker"]) if pin["marker"] else None
        found[canonicalize_name(pin["name"])].append((Version(pin["version"]), marker))
    return found


def test_conda_and_pip_get_the_same_packages():
    bounds = conda_bounds()
    wanted = {CONDA_NAME.get(need.name, need.name): str(need.specifier) for need in NEEDED}
    assert {name: spec for name, spec in bounds.items() if name not in TOOLS} == wanted
    assert set(CONDA_NAME) <= {need.name for need in NEEDED}


def test_conda_gets_the_same_python():
    assert conda_bounds()["python"] == PROJECT["requires-python"] == ">=3.11"


def test_conda_channels():
    assert CONDA["channels"] == ["conda-forge", "bioconda", "nodefaults"]
    assert CONDA["name"] == PROJECT["name"]


def test_every_requirement_is_a_lower_bound():
    for need in NEEDED + EXTRAS:
        assert [spec.operator for spec in need.specifier] == [">="], need


def test_constraints_are_names_versions_and_markers_alone():
    assert len(pins()) > len(NEEDED + EXTRAS)


@pytest.mark.parametrize("need", NEEDED + EXTRAS, ids=lambda need: need.name)
def test_constraints_satisfy_the_requirement(need: Requirement):
    versions = pins()[canonicalize_name(need.name)]
    assert versions
    for version, _ in versions:
        assert need.specifier.contains(version), f"{need} but {version} is pinned"
    here = [version for version, marker in versions if marker is None or marker.evaluate()]
    assert len(here) == 1, "one pin holds for this Python"


def test_make_installs_what_is_locked():
    """Packages, uv itself, and what builds hipt: every install names the constraints."""
    recipe = (ROOT / "Makefile").read_text().partition(".venv/.ready:")[2].partition("touch")[0]
    installs = re.findall(r"[^&|]*pip install(?:[^&|]|\\\n)*", recipe)
    assert len(installs) == 3
    for command in installs:
        assert re.search(r"-c constraints\.txt|PIP_CONSTRAINT=constraints\.txt", command), command
    assert "--build-constraints constraints.txt" in recipe
    system = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]
    assert {"uv", *(Requirement(text).name for text in system["requires"])} <= set(pins())


def test_every_package_is_accounted_for():
    reasons = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text()
    cells = [row.split("|")[1] for row in reasons.splitlines() if row.startswith("| ")]
    listed = set(re.findall(r"[a-z][a-z0-9-]+", " ".join(cells)))
    assert {need.name for need in NEEDED} <= listed


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert PROJECT["version"] == __version__ == citation["version"]
    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_citation_is_complete():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
    assert citation["license"] == PROJECT["license"]
    paper = citation["preferred-citation"]
    assert {"type", "title", "authors", "year", "conference"} <= paper.keys()
    assert len(paper["authors"]) == 7


def test_what_the_package_reads_is_in_the_wheel(monkeypatch: pytest.MonkeyPatch):
    """Templates, styles, scripts, the viewer's page: every file beside the modules."""
    monkeypatch.chdir(ROOT)
    project = apply_configuration(Distribution(), "pyproject.toml")
    project.include_package_data = False  # which would look into git, and write a folder here
    build = project.get_command_obj("build_py")
    build.ensure_finalized()
    packed = {Path(folder) / name for _, folder, _, names in build.data_files for name in names}
    ours = {path.relative_to(ROOT) for path in (ROOT / "hipt").rglob("*") if path.is_file()}
    ours = {path for path in ours if path.suffix != ".py" and "__pycache__" not in path.parts}
    assert Path("hipt/view/page/index.html") in ours
    assert ours <= packed, f"package-data in pyproject.toml lacks {sorted(map(str, ours - packed))}"
