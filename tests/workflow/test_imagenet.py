"""The encoder that comes with an extra of hipt: real weights, by its name alone."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import yaml
from PIL import Image
from safetensors import safe_open

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding.packaged import weights_file
from hipt.steps import verify
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings
from tests.workflow.project import EMBED, PRETRAIN, ROOT, Project

NAME = "efficientnet-lite0"
SLIDE = ROOT / "tests" / "data" / "slides" / "CMU-1-Small-Region.svs"


@pytest.fixture
def extra() -> None:
    """Skips where the package is not installed."""
    if weights_file(PatchEncoderConfig(encoder=NAME)) is None:
        pytest.skip(f"needs {presets()[NAME].install}")


@pytest.mark.usefixtures("extra")
def test_a_first_look_at_a_real_slide(tmp_path: Path):
    """By config/first_look.yaml: maps, exports and the page, with real weights and no stage 2."""
    project = Project(tmp_path)
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "a.svs").symlink_to(SLIDE)
    config = yaml.safe_load((ROOT / "config" / "first_look.yaml").read_text())
    config |= {"results": "results", "export": {"formats": ["trident", "clam", "stamp", "hipt"]}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    ran = project.run()
    assert ran.rc == 0, ran.text
    results = project.results
    shard = results / "embed_patches" / "a.arrow"
    assert presets()[NAME].sha256 == {read_provenance(shard).inputs["weights"]}
    patches = PatchEmbeddings(shard)
    regions = pl.read_parquet(results / "embed_regions" / "a.parquet")["embedding"].to_numpy()
    assert regions.shape == (len(patches), 1280)
    assert regions.std(0).mean() > 0.01  # they differ
    page = (results / "report.html").read_text()
    assert "efficientnet-lite0-57934424.pth" in page
    assert "none: the mean of a region&#39;s patch vectors" in page
    assert "there is no stage 2 (<code>embed.regions.pool: mean</code>)" in page
    maps = {path.name for path in (results / "attend" / "a").iterdir()}
    named = [f"component{k}.{kind}" for k in (1, 2, 3) for kind in ("png", "tif")]
    assert maps == {*named, "qupath.geojson"}
    assert (results / "figures" / "attend" / "a" / "components.pdf").is_file()
    assert all((results / "export" / f"{x}.parquet").is_file() for x in ("trident", "hipt"))
    assert project.run("--dry-run").jobs == {}
    verify.main(["--results", str(results)])
    picture_of_one_slide(results, tmp_path / "picture.jpg")


def picture_of_one_slide(results: Path, picture: Path) -> None:
    """As `make demo-real` ends: one case has no neighbours; without maps it is a sentence."""
    command = [sys.executable, "docs/result_picture.py", str(results), str(picture)]
    subprocess.run(command, cwd=ROOT, check=True)
    with Image.open(picture) as drawn:
        assert 3 < drawn.width / drawn.height < 3.6  # nothing is left blank for them
    shutil.rmtree(results / "attend")
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.endswith("no slide has the map component1.png; there is nothing to draw\n")
    assert "Traceback" not in said.stderr


@pytest.mark.whole("pretraining")
@pytest.mark.usefixtures("extra")
def test_stage_2_is_trained_on_vectors_1280_wide(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    project.configure(
        embed={"patches": {"encoder": NAME}, "regions": EMBED["regions"]}, pretrain=PRETRAIN
    )
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs["pretrain_regions"] == 1
    with safe_open(project.results / "models" / "vit4096.safetensors", "np") as file:
        shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
    assert [16, 1280] in shapes  # from a patch's vector to a token
