"""Pretraining on real slides: what it makes, and that stopping and going on changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.embedding.weights_files import load_patch_encoder, read_weights
from hipt.errors import HiptError
from hipt.nn.dino.trainer import Trainer
from hipt.pretraining import training_loop
from hipt.pretraining.corpus_list import read_corpus_list
from hipt.pretraining.launch import torchrun
from hipt.pretraining.lineage import seen_by
from hipt.slides.identity import identity
from hipt.steps import pretrain
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

DINO = {
    **{"iterations": 6, "batch": 8, "out_dim": 32, "hidden_dim": 24, "bottleneck_dim": 12},
    **{"warmup_iterations": 2, "frozen_iterations": 1, "checkpoint_every": 2},
}
PATCH_VIEWS = {"global_px": 64, "local_px": 32, "local_crops": 2}
GRID_VIEWS = {"global_side": 3, "local_side": 2, "local_crops": 2}


@pytest.fixture
def ready(chain: Chain) -> Chain:
    """Two slides with embeddings, and a recipe that takes a second."""
    for seed, name in enumerate("ab"):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(1024, 768, seed))
    chain.sheet("slide_id,path,kind\na,a.svs,x\nb,b.svs,y\n")
    chain.values["pretrain"] = {
        "precision": "fp32",
        "patches": {"pool_blocks": 4, "views": PATCH_VIEWS, "dino": DINO},
        "regions": {"views": GRID_VIEWS, "dino": DINO},
    }
    chain.upto("embed_patches")
    return chain


def command(chain: Chain, stage: str, name: str) -> list[str]:
    cfg = settings("pretrain", Config.model_validate(chain.values)).model_dump_json()
    out = chain.results.model(name)
    return ["--stage", stage, "--cfg", cfg, "--out", str(out), "--threads", "2"]


def train(chain: Chain, stage: str = "patches", name: str = "vit256") -> Path:
    pretrain.main(command(chain, stage, name))
    return chain.results.model(name)


def checkpoint(chain: Chain, name: str = "vit256") -> Path:
    return chain.results.root / "models" / f".{name}" / "checkpoint.pt"


@pytest.mark.parametrize(("stage", "name"), [("patches", "vit256"), ("regions", "vit4096")])
def test_a_model_its_corpus_and_its_curves(ready: Chain, stage: str, name: str):
    path = train(ready, stage, name)
    weights = read_weights(path)
    recipe = json.loads(weights.metadata["recipe"])
    assert recipe["dino"]["iterations"] == 6
    assert recipe["stage"] == f"pretrain.{stage}"
    assert [m.slide_id for m in read_corpus_list(path.with_suffix(".corpus.csv"))] == ["a", "b"]
    metrics = pl.read_parquet(path.with_suffix(".metrics.parquet"))
    assert metrics["iteration"].to_list() == list(range(6))
    assert metrics["lr"][0] == 0
    assert metrics["teacher_momentum"].is_sorted()
    assert not checkpoint(ready, name).exists()  # the product is there, the state is done with


def test_threads_that_read_change_no_bit_and_threads_that_compute_are_written_down(ready: Chain):
    path = train(ready)
    expected = path.read_bytes()
    path.unlink()
    args = command(ready, "patches", "vit256")
    pretrain.main([*args[:-1], "1"])
    assert path.read_bytes() == expected
    ready.values["pretrain"]["cpu_threads"] = 1
    path.unlink()
    software = json.loads(read_weights(train(ready)).metadata["software"])
    assert software["threads"] == "1"
    assert (software["device"], software["precision"]) == ("cpu", "fp32")
    assert path.read_bytes() != expected


def test_the_model_is_what_the_embedding_step_loads(ready: Chain):
    path = train(ready)
    patches = Config.model_validate(ready.values).embed.patches
    encoder = load_patch_encoder(patches.model_copy(update={"weights": str(path), "random": None}))
    ready.values["embed"]["patches"] = {"shape": patches.shape.model_dump(), "weights": str(path)}
    assert ready.call("embed_patches")["a"]["status"] == "ok"
    assert encoder.dim == 16


@pytest.mark.parametrize(("stage", "name"), [("patches", "vit256"), ("regions", "vit4096")])
def test_stopped_and_resumed_equals_uninterrupted_bit_for_bit(
    ready: Chain, stage: str, name: str, monkeypatch: pytest.MonkeyPatch
):
    whole = train(ready, stage, name)
    expected = whole.read_bytes()
    curves = whole.with_suffix(".metrics.parquet").read_bytes()
    whole.unlink()
    step, stops = Trainer.step, iter([3, 5])
    stop = next(stops)

    def stopped(self, iteration, micro_batches):
        nonlocal stop
        if iteration + 1 == stop:
            os.kill(os.getpid(), signal.SIGTERM)
            stop = next(stops, 0)
        return step(self, iteration, micro_batches)

    monkeypatch.setattr(Trainer, "step", stopped)
    for _ in range(2):
        with pytest.raises(SystemExit) as left:
            train(ready, stage, name)
        assert left.value.code == 128 + signal.SIGTERM
        assert not whole.exists()
    assert train(ready, stage, name).read_bytes() == expected
    assert whole.with_suffix(".metrics.parquet").read_bytes() == curves


def test_killed_it_goes_on_from_its_last_checkpoint(ready: Chain, monkeypatch: pytest.MonkeyPatch):
    expected = train(ready).read_bytes()
    ready.results.model("vit256").unlink()
    step = Trainer.step

    def killed(self, iteration, micro_batches):
        if iteration == 5:
            raise MemoryError  # as abrupt as a test can be
        return step(self, iteration, micro_batches)

    monkeypatch.setattr(Trainer, "step", killed)
    with pytest.raises(MemoryError):
        train(ready)
    assert torch.load(checkpoint(ready), weights_only=True)["steps"].shape == (4, 6)
    monkeypatch.setattr(Trainer, "step", step)
    assert train(ready).read_bytes() == expected


def test_a_checkpoint_of_other_settings_is_refused(ready: Chain, monkeypatch: pytest.MonkeyPatch):
    step = Trainer.step

    def interrupted(self, iteration, micro_batches):
        os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, iteration, micro_batches)

    monkeypatch.setattr(Trainer, "step", interrupted)
    with pytest.raises(SystemExit):
        train(ready)
    ready.values["pretrain"]["patches"]["dino"] = {**DINO, "lr": 1e-3}
    with pytest.raises(HiptError, match=r"checkpoint\.pt: was made with other settings"):
        train(ready)
    checkpoint(ready).write_bytes(b"PK damaged")
    with pytest.raises(HiptError, match=r"checkpoint\.pt: is damaged"):
        train(ready)


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_checkpoint(
    ready: Chain, monkeypatch: pytest.MonkeyPatch
):
    step = Trainer.step

    def broken(self, iteration, micro_batches):
        done = step(self, iteration, micro_batches)
        return done._replace(loss=float("nan")) if iteration == 4 else done

    monkeypatch.setattr(Trainer, "step", broken)
    with pytest.raises(HiptError) as caught:
        train(ready)
    assert "failed in step 5: the loss is nan" in str(caught.value)
    assert str(checkpoint(ready)) in str(caught.value)
    assert torch.load(checkpoint(ready), weights_only=True)["steps"].shape == (4, 6)


def test_init_and_corpus(ready: Chain, tmp_path: Path):
    first = train(ready).rename(tmp_path / "first.safetensors")
    ready.values["pretrain"]["patches"] |= {"init": str(first), "corpus": "kind=y"}
    path = train(ready)
    (member,) = read_corpus_list(path.with_suffix(".corpus.csv"))
    assert (member.slide_id, member.case_id) == ("b", "b")
    assert member.content == identity(ready.folder / "b.svs")
    assert seen_by([str(path)]) == ((member,), (str(first),))  # its list was left behind
    shutil.copy(path.with_suffix(".corpus.csv"), first.with_suffix(".corpus.csv"))
    assert seen_by([str(path)]).unknown == ()
    ready.values["pretrain"]["patches"]["corpus"] = "kind=z"
    with pytest.raises(HiptError, match="kind=z"):
        train(ready)


def test_micro_batches_add_up(ready: Chain):
    ready.values["pretrain"]["patches"]["micro_batches"] = 4
    assert train(ready).exists()
    ready.values["pretrain"]["patches"]["micro_batches"] = 3
    with pytest.raises(HiptError, match="must be a multiple of"):
        train(ready)


LAUNCH = (sys.executable, "-m", "hipt", "pretrain", "--processes", "2")
"""As the rules launch it (workflow/rules/pretrain.smk)."""


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        ("patches", "vit256"),
        pytest.param("regions", "vit4096", marks=pytest.mark.whole("pretraining")),
    ],
)
def test_two_processes_train_one_model(ready: Chain, stage: str, name: str):
    done = subprocess.run(
        [*LAUNCH, *command(ready, stage, name)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert read_weights(ready.results.model(name)).metadata["iterations"] == "6"


@pytest.mark.parametrize(
    "stop", [signal.SIGTERM, pytest.param(signal.SIGUSR1, marks=pytest.mark.whole("pretraining"))]
)
def test_two_processes_save_when_their_launcher_is_asked_to_stop(
    ready: Chain, stop: signal.Signals
):
    dino = {**DINO, "iterations": 100_000, "checkpoint_every": 100_000}
    ready.values["pretrain"]["patches"]["dino"] = dino
    with subprocess.Popen(
        [*LAUNCH, *command(ready, "patches", "vit256")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    ) as launched:
        assert launched.stderr is not None
        line = next(line for line in launched.stderr if "loss" in line)  # it is at work
        assert not checkpoint(ready).exists(), line
        launched.send_signal(stop)
        rest = launched.stderr.read()
    assert launched.returncode != 0
    assert torch.load(checkpoint(ready), weights_only=True)["steps"].shape[1] > 0, rest
    assert not ready.results.model("vit256").exists()


SLOW_DISK = """
import os, sys, time
from pathlib import Path
from hipt.__main__ import main
from hipt.pretraining import training_loop
write, here = training_loop.write_state, Path(__file__).parent
def slowly(path, state):
    time.sleep(3)
    write(path, state)
    (here / "saved").touch()
training_loop.write_state = slowly
try:
    main(sys.argv[1:])
finally:
    (here / f"left-{os.environ['RANK']}").write_text(str((here / "saved").exists()))
"""


@pytest.mark.whole("pretraining")
def test_no_process_leaves_before_the_first_has_saved(ready: Chain, tmp_path: Path):
    """One that left would make torchrun end the one that writes."""
    dino = {**DINO, "iterations": 100_000, "checkpoint_every": 100_000}
    ready.values["pretrain"]["patches"]["dino"] = dino
    script = tmp_path / "slow.py"
    script.write_text(SLOW_DISK)
    launch = torchrun(2, ["pretrain", *command(ready, "patches", "vit256")])
    at = launch.index("-m", 2)
    launch = [*launch[: launch.index("--nproc-per-node") + 2], str(script), *launch[at + 2 :]]
    with subprocess.Popen(
        launch, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True
    ) as launched:
        assert launched.stderr is not None
        next(line for line in launched.stderr if "loss" in line)  # it is at work
        launched.send_signal(signal.SIGTERM)
        rest = launched.stderr.read()
    assert torch.load(checkpoint(ready), weights_only=True)["steps"].shape[1] > 0, rest
    assert [(tmp_path / f"left-{rank}").read_text() for rank in range(2)] == ["True", "True"]


@pytest.mark.whole("pretraining")
def test_a_first_process_that_cannot_save_ends_them_all(ready: Chain):
    dino = {**DINO, "iterations": 40, "checkpoint_every": 2}
    ready.values["pretrain"]["patches"]["dino"] = dino
    checkpoint(ready).parent.parent.mkdir(parents=True, exist_ok=True)
    checkpoint(ready).parent.write_text("a file where the folder should be")
    done = subprocess.run(
        [*LAUNCH, *command(ready, "patches", "vit256")],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0
    assert f"{checkpoint(ready).parent}" in done.stderr
    assert "Connection closed by peer" not in done.stderr


def test_no_alarm_of_a_collapse_before_the_warm_up_ends(
    ready: Chain, monkeypatch: pytest.MonkeyPatch
):
    """A network that has hardly learnt answers everything alike: that is no collapse yet."""
    monkeypatch.setattr(training_loop, "WATCHED", 2)
    monkeypatch.setattr(training_loop, "collapsed", lambda *_: "every answer is all outputs alike")
    dino = {**DINO, "iterations": 6, "warmup_iterations": 6}
    ready.values["pretrain"]["patches"]["dino"] = dino
    assert train(ready).exists()
    ready.results.model("vit256").unlink()
    ready.values["pretrain"]["patches"]["dino"] = {**dino, "warmup_iterations": 4}
    with pytest.raises(HiptError, match=r"failed in step 6: every answer is all outputs alike"):
        train(ready)


def test_a_corpus_smaller_than_a_batch(ready: Chain):
    ready.values["pretrain"]["patches"]["dino"] = {**DINO, "batch": 5000}
    with pytest.raises(
        HiptError, match=r"has \d+ patches, fewer than pretrain\.patches\.dino\.batch"
    ):
        train(ready)


def test_too_little_memory_names_the_keys(ready: Chain, monkeypatch: pytest.MonkeyPatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Trainer, "step", full)
    with pytest.raises(HiptError, match=r"micro_batches \(now 1\), or lower .*\.dino\.batch"):
        train(ready)


def test_a_full_disk_keeps_the_checkpoint_before(ready: Chain):
    ready.values["pretrain"]["patches"]["dino"] = {**DINO, "iterations": 40, "checkpoint_every": 1}
    limit = "import resource, sys; from hipt.__main__ import main; "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)); sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", limit, "pretrain", *command(ready, "patches", "vit256")],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert f"no space left to write {checkpoint(ready)}" in done.stderr
    assert "Traceback" not in done.stderr
