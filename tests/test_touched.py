"""What CI runs besides `make test`: the whole tests of the rooms that a change touches."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.test_floors import ARROWS
from tests.touched import ALL, changed, touched


def test_a_room_touches_what_may_import_it():
    assert touched(["hipt/report/page.py", "README.md"]) == "report"
    assert touched(["tests/heatmaps/test_draw.py"]) == "heatmaps,notebook,planning,report,view"
    assert touched(["hipt/store/whole.py"]).split(",") == sorted(
        room for room in ARROWS if room not in ("config", "stats", "pictures", "geometry", "nn")
    )


def test_what_is_no_room_touches_all_and_text_nothing():
    for path in ("workflow/rules/common.smk", "hipt/layout.py", "hipt/steps/fit.py", "Makefile"):
        assert touched(["docs/config.md", path]) == ALL
    assert touched(["docs/pictures/result.jpg", "CHANGELOG.md", "benchmarks/scale.py"]) == ""


def test_a_page_that_is_typed_touches_its_tests():
    assert touched(["docs/tutorials/qupath.md", "docs/config.md"]) == "pages"
    assert touched(["docs/offline.md", "hipt/report/page.py"]) == "pages,report"


def test_the_change_begins_at_the_last_tag_or_before_the_merge(tmp_path: Path):
    def git(*arguments: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", "-C", tmp_path, *who, *arguments], check=True, capture_output=True)

    def commit(name: str) -> None:
        (tmp_path / name).touch()
        git("add", name)
        git("commit", "-m", name)

    git("init", "-b", "main")
    commit("one")
    assert changed(tmp_path) is None
    git("tag", "v1")
    commit("two")
    commit("three")
    assert changed(tmp_path) == ["three", "two"]
    assert changed(tmp_path, "HEAD^") == ["three"]
    git("checkout", "-b", "side", "HEAD^")
    commit("four")
    git("checkout", "main")
    git("merge", "--no-ff", "-m", "merge", "side")
    assert changed(tmp_path) == ["four"]
