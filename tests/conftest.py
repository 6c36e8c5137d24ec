"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from tests.slidemaker import tissue_picture, write_slide

ROOT = Path(__file__).parent.parent

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)

# The same examples in every run: what fails here fails everywhere, and no test fails by chance.
hypothesis.settings.register_profile("hipt", deadline=None, derandomize=True)
hypothesis.settings.load_profile("hipt")


LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes longest comes first; what is marked `whole` is left out unless it is asked for.

    `HIPT_ALL=1`, `-m whole` and a test's own name ask for it; `HIPT_ALL=tasks,exchange` for what
    is about these rooms of hipt, and for what is about no room alone.
    """
    items.sort(
        key=lambda item: [part not in item.nodeid for part in ("slurm", "/workflow/", "/steps/")]
    )
    named = "whole" in config.option.markexpr or any("::" in arg for arg in config.args)
    rooms = set(os.environ.get("HIPT_ALL", "1" if named else "").split(",")) - {""}

    def asked_for(item: pytest.Item) -> bool:
        whole = item.get_closest_marker("whole")
        if whole is None or rooms == {"1"}:
            return True
        return bool(rooms & set(whole.args) if whole.args else rooms)

    left_out = [item for item in items if not asked_for(item)]
    items[:] = [item for item in items if asked_for(item)]
    config.hook.pytest_deselected(items=left_out)
    config.stash[LEFT_OUT] = len(left_out)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker says what it left out to the process that prints the summary."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = session.config.stash[LEFT_OUT]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"{count} whole tests left out: `make test-all` has them")


@pytest.fixture(scope="session")
def tiny_slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An Aperio-style slide: 2048 x 1536 px, 0.5 um/px, two levels, tissue in the middle."""
    folder = tmp_path_factory.mktemp("slides")
    return write_slide(folder / "tiny.svs", tissue_picture(2048, 1536))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with real slides beside the checkout."""
    folder = Path(os.environ.get("HIPT_SHARED", ROOT.parent / "shared"))
    if not (folder / "slides").is_dir():
        pytest.skip(f"no real slides at {folder}")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Headless Chromium; tests that ask for it are skipped without."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()
