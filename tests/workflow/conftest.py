"""The tiny cohort, run once; tests change copies of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.config.config import ViTShape
from hipt.embedding.weights_files import write_weights
from hipt.nn.vit import initialise, vit256
from tests.once import made_once
from tests.slidemaker import tissue_picture, write_slide
from tests.workflow.project import EMBED, PRETRAIN, Project

COHORT = {"a": 0.5, "b": 0.25, "0012": 0.5, "d": 0.36}
"""Slides and their um per pixel."""


@pytest.fixture(scope="session")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Four slides, their sheet and config; nothing has run."""

    def make(folder: Path) -> None:
        project = Project(folder)
        for seed, (name, mpp) in enumerate(COHORT.items()):
            picture = tissue_picture(1536, 1152, seed)
            kind = "generic" if name == "b" else "aperio"
            write_slide(folder / "slides" / f"{name}.tif", picture, mpp=mpp, kind=kind)
        project.write_sheet([{"slide_id": name, "path": f"slides/{name}.tif"} for name in COHORT])
        project.configure()

    return Project(made_once(tmp_path_factory, "cohort", make))


@pytest.fixture(scope="session")
def finished(cohort: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The cohort after an undisturbed run."""

    def make(folder: Path) -> None:
        ran = cohort.copy(folder / "p").run()
        assert ran.rc == 0, ran.text

    return Project(made_once(tmp_path_factory, "finished", make) / "p")


@pytest.fixture(scope="session")
def trained(cohort: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The cohort after a run that trained both models."""

    def make(folder: Path) -> None:
        project = cohort.copy(folder / "p")
        project.configure(embed=EMBED, pretrain=PRETRAIN)
        ran = project.run()
        assert ran.rc == 0, ran.text
        assert (ran.jobs["pretrain_patches"], ran.jobs["pretrain_regions"]) == (1, 1)

    return Project(made_once(tmp_path_factory, "trained", make) / "p")


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run, to be changed."""
    return finished.copy(tmp_path / "p")


def _weights(folder: Path, seed: int) -> Path:
    """ViT256-16 of one small block."""
    model = vit256(ViTShape(depth=1, dim=16, heads=2))
    initialise(model, seed)
    path = folder / f"tiny-{seed}.safetensors"
    write_weights(path, model.state_dict(), {})
    return path


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the tiny config's stage 1."""
    return _weights(tmp_path_factory.mktemp("weights"), 1)


@pytest.fixture(scope="session")
def other_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Others of the same shape."""
    return _weights(tmp_path_factory.mktemp("weights"), 2)
