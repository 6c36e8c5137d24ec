"""The encoder that comes with an extra of hipt: real weights, by its name alone."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding.packaged import weights_file
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings
from tests.workflow.project import TINY, Project

NAME = "efficientnet-lite0"


@pytest.fixture
def extra() -> None:
    """Skips where the package is not installed."""
    if weights_file(PatchEncoderConfig(encoder=NAME)) is None:
        pytest.skip(f"needs {presets()[NAME].install}")


@pytest.mark.usefixtures("extra")
def test_a_slide_goes_through_with_real_weights(cohort: Project, tmp_path):
    project = cohort.copy(tmp_path / "p")
    project.write_sheet([{"slide_id": "a", "path": "slides/a.tif"}])
    project.configure(embed={"patches": {"encoder": NAME}, "regions": TINY["embed"]["regions"]})
    ran = project.run()
    assert ran.rc == 0, ran.text
    shard = project.results / "embed_patches" / "a.arrow"
    assert presets()[NAME].sha256 == {read_provenance(shard).inputs["weights"]}
    grids = PatchEmbeddings(shard)
    vectors = np.stack([grids.grid(i) for i in range(len(grids))]).astype(np.float32)
    assert vectors.shape[-1] == 1280
    assert vectors.std(axis=(0, 1)).mean() > 0.05
    page = (project.results / "report.html").read_text()
    assert "efficientnet-lite0-57934424.pth" in page
    assert project.run("--dry-run").jobs == {}
    table = pl.read_parquet(project.results / "slides.parquet")
    assert table["status"].to_list() == ["ok"]
