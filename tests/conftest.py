"""Fixtures that several folders of tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

from tests.slidemaker import tissue_picture, write_slide

ROOT = Path(__file__).parent.parent

# The same examples in every run: what fails here fails everywhere, and no test fails by chance.
hypothesis.settings.register_profile("hipt", deadline=None, derandomize=True)
hypothesis.settings.load_profile("hipt")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole workflows first, SLURM before all: what takes longest must not start last."""
    items.sort(key=lambda item: ("slurm" not in item.path.name, "workflow" not in item.path.parts))


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
