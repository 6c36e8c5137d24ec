"""`hipt retrain`: a model goes aside whole, and nothing is ever written over."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import pytest

from hipt.errors import HiptError
from hipt.steps import retrain

MADE = datetime(2024, 5, 17, 9, 30, 12).astimezone().timestamp()
DATE = "2024-05-17-093012"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """Both models with what lies beside them, and a config that trains them."""
    folder = tmp_path / "results" / "models"
    write(folder, "vit256", "vit4096")
    embed = "{patches: {weights: pretrain}, regions: {weights: pretrain}}"
    (tmp_path / "c.yaml").write_text(f"results: {tmp_path}/results\nembed: {embed}\n")
    return folder


def write(folder: Path, *names: str, text: str = "") -> None:
    for name in names:
        (folder / f".{name}").mkdir(parents=True, exist_ok=True)
        for suffix in ("corpus.csv", "metrics.parquet", "safetensors"):
            path = folder / f"{name}.{suffix}"
            path.write_text(text or path.name)
            os.utime(path, (MADE, MADE))


def call(models: Path, name: str) -> None:
    retrain.main([name, "--cfg", str(models.parents[1] / "c.yaml")])


def below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_model_goes_aside_under_its_date(models: Path, capsys: pytest.CaptureFixture[str]):
    before = below(models)
    call(models, "vit4096")
    moved = {name for name in before if name.startswith("vit4096")}
    assert below(models) == before - moved | {f"old/{DATE}/{name}" for name in moved}
    old = models / "old" / DATE / "vit4096.safetensors"
    assert old.read_text() == "vit4096.safetensors"
    assert old.stat().st_mtime == MADE
    output = capsys.readouterr().out
    assert output.startswith(f"moved to {models}/old/{DATE}:\n  vit4096.corpus.csv\n")
    assert "run snakemake, which trains vit4096 anew" in output
    assert "pretrain into the config" not in output


def test_what_is_aside_is_never_written_over(models: Path):
    for text in "abc":
        write(models, "vit256", text=text)
        call(models, "vit256")
    folders = [DATE, f"{DATE}-2", f"{DATE}-3"]
    kept = [(models / "old" / name / "vit256.safetensors").read_text() for name in folders]
    assert kept == ["a", "b", "c"]


def test_stage_2_is_named_where_stage_1_is_trained_anew(
    models: Path, capsys: pytest.CaptureFixture[str]
):
    call(models, "vit256")
    assert "hipt retrain vit4096" in capsys.readouterr().out
    call(models, "vit4096")
    write(models, "vit256")
    call(models, "vit256")
    assert capsys.readouterr().out.count("hipt retrain") == 0


def test_a_checkpoint_without_a_model_goes_aside_too(models: Path):
    for path in models.glob("vit256.*"):
        path.unlink()
    (models / ".vit256" / "checkpoint.pt").write_text("half")
    os.utime(models / ".vit256", (MADE, MADE))
    call(models, "vit256")
    assert (models / "old" / DATE / ".vit256" / "checkpoint.pt").read_text() == "half"
    assert not (models / ".vit256").exists()


def test_a_config_that_trains_nothing_is_noted(models: Path, capsys: pytest.CaptureFixture[str]):
    path = models.parents[1] / "c.yaml"
    path.write_text(path.read_text().replace("weights: pretrain", "random: 1"))
    call(models, "vit4096")
    assert "write embed.regions.weights: pretrain into the config" in capsys.readouterr().out


def test_unknown_or_absent_models_are_one_sentence(models: Path):
    with pytest.raises(HiptError, match=r"^no model is called 'vit'; name vit256 or vit4096$"):
        call(models, "vit")
    call(models, "vit256")
    with pytest.raises(HiptError, match=r"vit256\.safetensors: not there, and no checkpoint"):
        call(models, "vit256")
