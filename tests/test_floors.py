"""Imports go down one way, files stay small, and only `io` opens files."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hipt"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "demo" not in p.parts)
PURE = {"core", "geometry", "stats", "pictures"}
"""NumPy alone: these open no file and know no torch."""
ON_DISK = {
    *("io", "store", "slides", "cohort", "exchange", "embedding", "heatmaps", "pretraining"),
    *("tasks", "audit", "report"),
}
"""What opens files; the rooms that `io` is divided into lie on its floor."""
FLOOR = {
    "errors": 0,
    **dict.fromkeys(("section", "recipe", "task_config", "encoder_config", "config", "told"), 1),
    **dict.fromkeys({*PURE, "nn"}, 2),
    **dict.fromkeys(ON_DISK, 3),
    "steps": 4,
    "__main__": 5,
}
IMPURE = {"pathlib", "logging", "os", "openslide", "pyarrow", "PIL", "time", "random"}
LONGEST_FILE_LINES = 400


def room(module: str) -> str:
    """`hipt.io.slides` is in the room `io`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module)
            if node.module == "hipt":
                found |= {f"hipt.{alias.name}" for alias in node.names}
    return found


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_go_down(path: Path):
    here = room(name_of(path))
    for module in imports(path):
        if not module.startswith("hipt."):
            continue
        there = room(module)
        if there.startswith("__version__"):
            continue
        assert there in FLOOR, f"{path} imports {module}, which no floor has"
        assert FLOOR[there] <= FLOOR.get(here, 9), f"{path} imports upwards: {module}"
        if "nn" in (here, there) and PURE & {here, there}:
            pytest.fail(f"{path}: nn and what is pure are strangers, but it imports {module}")
        if here == "steps" and module != "hipt.steps":
            assert there != "steps", f"{path}: steps meet in files, but it imports {module}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if room(name_of(p)) in {*PURE, "nn"}], ids=name_of
)
def test_what_computes_is_pure(path: Path):
    roots = {module.split(".")[0] for module in imports(path)}
    assert not roots & IMPURE, f"{path} imports {roots & IMPURE}"


def test_only_slides_imports_openslide():
    users = {name_of(p) for p in MODULES if "openslide" in {m.split(".")[0] for m in imports(p)}}
    assert users == {"hipt.io.slides"}


def test_only_images_lettering_and_slides_import_pil():
    users = {name_of(p) for p in MODULES if "PIL" in {m.split(".")[0] for m in imports(p)}}
    assert users == {"hipt.io.slides", "hipt.io.images", "hipt.io.lettering"}


def test_nothing_imports_the_demo():
    for path in MODULES:
        assert not any(module.startswith("hipt.demo") for module in imports(path)), path


@pytest.mark.parametrize("folder", ["hipt", "tests", "benchmarks", "workflow", "docs"])
def test_files_are_small(folder: str):
    for path in (ROOT / folder).rglob("*"):
        if path.suffix in (".py", ".smk"):
            lines = path.read_text().count("\n")
            assert lines <= LONGEST_FILE_LINES, f"{path}: {lines} lines; split it by reason"


def test_no_file_is_called_utils():
    taboo = {"utils", "util", "helpers", "misc", "base", "common"}
    assert not [p for p in MODULES if p.stem in taboo]
