"""Both self-supervised stages in the DAG: trained once, used by the embeddings, and then pinned."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hipt.embedding.weights_files import read_weights
from tests.workflow.project import DINO, EMBED, PRETRAIN, Project
from tests.workflow.test_what_must_hold import AGGREGATES, per_batch, rewritten

pytestmark = [pytest.mark.workflow, pytest.mark.whole("pretraining")]


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return trained.copy(tmp_path / "p")


def model(project: Project, name: str) -> Path:
    return project.results / "models" / f"{name}.safetensors"


def test_a_second_run_does_nothing(project: Project):
    assert project.run().jobs == {}


def test_new_slides_and_other_settings_train_nothing_again(project: Project):
    before = {name: model(project, name).read_bytes() for name in ("vit256", "vit4096")}
    times = project.times("embed_patches")
    extra = project.folder / "slides" / "extra.tif"
    shutil.copy2(project.folder / "slides" / "a.tif", extra)
    project.write_sheet([*project.read_sheet(), {"slide_id": "extra", "path": "slides/extra.tif"}])
    lr = {"dino": DINO | {"lr": 1e-3}}
    changed = {stage: PRETRAIN[stage] | lr for stage in PRETRAIN}
    project.configure(embed=EMBED, pretrain=changed)
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(1)
    assert {name: model(project, name).read_bytes() for name in before} == before
    assert rewritten(times, project.times("embed_patches")) == set()


def test_retraining_on_request_and_what_follows(project: Project):
    old, times = model(project, "vit4096").read_bytes(), project.times("embed_patches")
    subprocess.run(
        [sys.executable, "-m", "hipt", "retrain", "vit4096", "--cfg", "config.yaml"],
        cwd=project.folder,
        check=True,
    )
    changed = PRETRAIN["regions"] | {"dino": DINO | {"seed": 5}}
    project.configure(embed=EMBED, pretrain=PRETRAIN | {"regions": changed})
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == {"pretrain_regions": 1, "embed_regions": 2} | AGGREGATES
    assert model(project, "vit4096").read_bytes() != old
    assert rewritten(times, project.times("embed_patches")) == set()


def test_killed_in_training_it_ends_like_an_undisturbed_run(
    cohort: Project, trained: Project, tmp_path: Path
):
    project = cohort.copy(tmp_path / "killed")
    project.configure(embed=EMBED, pretrain=PRETRAIN)
    for seconds in (14, 18, 22):
        project.run_and_kill(seconds)
        assert project.run("--unlock").rc == 0
    ran = project.run()
    assert ran.rc == 0, ran.text
    for name in ("vit256", "vit4096"):
        assert model(project, name).read_bytes() == model(trained, name).read_bytes()
    assert project.content() == trained.content()


def test_two_processes_in_a_rule(cohort: Project, tmp_path: Path):
    """As on a server with two GPUs; here they share the CPU."""
    project = cohort.copy(tmp_path / "p")
    project.configure(embed=EMBED, pretrain=PRETRAIN | {"processes": 2})
    ran = project.run("--resources", "gpu=2", "--until", "pretrain_patches", "--printshellcmds")
    assert ran.rc == 0, ran.text
    assert ran.jobs["pretrain_patches"] == 1
    assert "--processes 2" in ran.text
    log = (project.results / "logs/pretrain_patches.log").read_text()
    assert "process 1 of 2" in log
    assert "process 2 of 2" in log
    assert read_weights(model(project, "vit256")).metadata["iterations"] == "3"


def test_weights_that_are_trained_here_carry_their_recipe(trained: Project):
    metadata = read_weights(model(trained, "vit256")).metadata
    assert {"recipe", "corpus", "slides", "iterations", "mean", "std"} <= metadata.keys()
    assert metadata["slides"] == "4"


def test_another_encoder_below_stage_2(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "timm")
    patches = {"encoder": "vit_tiny_patch16_224", "random": 1}
    project.configure(
        slides={"sheet": "slides.csv", "batch_size": 4},
        tile={"region_px": 256, "patch_px": 128},
        embed={"patches": patches, "regions": EMBED["regions"]},
        pretrain={
            "regions": {
                "views": {"global_side": 2, "local_side": 1, "local_crops": 1},
                "dino": DINO,
            }
        },
    )
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(1) | {"pretrain_regions": 1}
    assert read_weights(model(project, "vit4096")).state["phi.0.weight"].shape == (16, 192)
