"""Which room may import which; files stay small; what computes opens no file."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "hipt"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if "demo" not in p.relative_to(PACKAGE).parts)
GROUND = {"errors", "registry", "layout", "progress", "machine"}
PURE = {"geometry", "stats", "pictures", "nn"}
"""These open no file, log nothing and know no clock; of the ground they know errors alone."""
ARROWS = {
    "config": set(),
    "stats": set(),
    "pictures": set(),
    "geometry": {"config"},
    "nn": {"config"},
    "store": {"pictures"},
    "slides": {"config", "pictures", "geometry", "store"},
    "cohort": {"config", "geometry", "store", "slides"},
    "exchange": {"config", "pictures", "geometry", "store", "slides", "cohort"},
    "embedding": {
        *("config", "stats", "geometry", "nn", "store", "slides", "cohort", "exchange"),
    },
    "heatmaps": {"config", "pictures", "geometry", "nn", "store", "slides", "cohort", "exchange"},
    "pretraining": {
        *("config", "pictures", "geometry", "nn", "store", "slides", "cohort", "embedding"),
    },
    "tasks": {
        *("config", "stats", "geometry", "nn", "store", "cohort", "embedding", "pretraining"),
    },
    "planning": {
        *("config", "store", "cohort", "exchange", "embedding", "heatmaps", "pretraining"),
        "tasks",
    },
    "audit": {"store", "cohort", "embedding", "tasks"},
    "status": {"config", "store", "cohort"},
    "report": {
        *("config", "pictures", "stats", "store", "slides", "cohort", "embedding", "heatmaps"),
        *("pretraining", "tasks"),
    },
    "notebook": {
        *("config", "pictures", "geometry", "store", "cohort", "exchange", "heatmaps", "tasks"),
        "steps",
    },
    "view": {
        *("config", "pictures", "geometry", "stats", "store", "slides", "cohort", "heatmaps"),
        *("exchange", "tasks"),
    },
}
"""What each room may import, besides itself and the ground. Steps may import every room that does
not import them."""
IMPURE = {"pathlib", "logging", "os", "openslide", "pyarrow", "PIL", "time", "random"}
LONGEST_FILE_LINES = 400


def room(module: str) -> str:
    """`hipt.slides.slide` is in the room `slides`."""
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


def test_every_room_imports_only_what_lies_below_it():
    below = {"steps"}
    for name, arrows in ARROWS.items():
        assert arrows <= below, f"{name} comes before {arrows - below} in the table"
        below.add(name)


def test_every_folder_is_a_room():
    folders = {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert folders == {*ARROWS, "steps", "demo"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_follow_the_arrows(path: Path):
    here = room(name_of(path))
    for module in imports(path):
        if not module.startswith("hipt.") or module == "hipt.__version__":
            continue
        there = room(module)
        if there in GROUND:
            assert here not in PURE or there == "errors", f"{path} is pure, but imports {module}"
        elif here == "steps":
            assert there != "steps" or module == "hipt.steps", f"{path} imports another step"
            assert "steps" not in ARROWS.get(there, ()), f"{path} imports what calls steps"
        elif here in ARROWS:
            assert there in ARROWS[here] | {here}, f"{path}: no arrow from {here} to {module}"
        elif here in GROUND:
            assert there in GROUND, f"{path} is ground, but imports {module}"


@pytest.mark.parametrize("name", sorted({"steps", *ARROWS}))
def test_no_two_files_import_each_other(name: str):
    files = {name_of(p): imports(p) for p in MODULES if room(name_of(p)) == name}
    inside = {file: found & set(files) - {file} for file, found in files.items()}
    while free := {file for file, found in inside.items() if not found & set(inside)}:
        inside = {file: found for file, found in inside.items() if file not in free}
    assert not inside, f"a circle among {sorted(inside)}"


@pytest.mark.parametrize("path", [p for p in MODULES if room(name_of(p)) in PURE], ids=name_of)
def test_what_computes_is_pure(path: Path):
    roots = {module.split(".")[0] for module in imports(path)}
    assert not roots & IMPURE, f"{path} imports {roots & IMPURE}"


def test_only_slides_imports_openslide():
    users = {name_of(p) for p in MODULES if "openslide" in {m.split(".")[0] for m in imports(p)}}
    assert users == {"hipt.slides.slide"}


def test_only_images_and_slides_import_pil():
    users = {name_of(p) for p in MODULES if "PIL" in {m.split(".")[0] for m in imports(p)}}
    assert users == {"hipt.slides.slide", "hipt.store.images"}


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
