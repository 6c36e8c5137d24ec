"""The embed_regions step: one vector per region, from that region's grid."""

from __future__ import annotations

import numpy as np
import torch

from hipt.config.config import RegionEncoderConfig
from hipt.embedding.region_means import region_mean
from hipt.embedding.weights_files import load_region_encoder
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, matrix, read_table
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import SHAPE, Chain


def test_a_vector_is_the_model_on_its_regions_grid(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.upto("embed_regions")["a"]
    table = read_table(chain.results.shard("embed_regions", "a"))
    patches = PatchEmbeddings(chain.results.shard("embed_patches", "a"))
    model = load_region_encoder(
        RegionEncoderConfig.model_validate({"shape": SHAPE, "random": 2}), in_dim=16
    )
    assert len(table) == len(patches) == row["regions"]
    assert table["region"].to_pylist() == list(range(row["regions"]))
    for i, got in enumerate(matrix(table["embedding"])):
        grid = torch.from_numpy(patches.grid(i).astype(np.float32)).T.reshape(1, 16, 4, 4)
        with torch.inference_mode():
            np.testing.assert_allclose(got, model(grid)[0].numpy(), atol=1e-5)
        first = patches.region(i).to_pylist()[0]
        assert (table["x"][i].as_py(), table["y"][i].as_py()) == (first["x"], first["y"])


def test_without_stage_2_a_vector_is_the_mean_of_tissue(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("embed_regions")
    chain.values["embed"]["regions"] = {"pool": "mean"}
    row = chain.call("embed_regions")["a"]
    assert (row["dim"], row["region_precision"]) == (16, "fp32")  # as wide as the patches
    shard = chain.results.shard("embed_regions", "a")
    made = read_provenance(shard)
    assert made.inputs["weights"] == "mean"
    assert made.settings == {"pool": "mean", "grid": 4, "precision": "fp32"}
    table, patches = read_table(shard), PatchEmbeddings(chain.results.shard("embed_patches", "a"))
    for i, got in enumerate(matrix(table["embedding"])):
        np.testing.assert_array_equal(got, region_mean(patches, i))
    written = shard.stat().st_mtime_ns
    chain.values["embed"]["precision"] = "bf16"  # of stage 2, and there is none
    chain.call("embed_regions")
    assert shard.stat().st_mtime_ns == written
