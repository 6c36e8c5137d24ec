"""The attend step: maps of slides from files, against the networks asked one region at a time."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import openslide
import pytest
import shapely.geometry
import torch

from hipt.config.config import Config, RegionEncoderConfig
from hipt.config.step_settings import settings
from hipt.embedding.region_means import region_mean
from hipt.embedding.weights_files import load_region_encoder
from hipt.errors import HiptError
from hipt.heatmaps.chosen import write_mapped
from hipt.heatmaps.table import read_maps
from hipt.nn.mil import build, pad
from hipt.steps import agreement, attend
from hipt.store.images import read_rgb
from hipt.store.tables import PatchEmbeddings, matrix, read_region_embeddings, read_table
from hipt.tasks.fold_files import read_fold
from hipt.tasks.units import TEST, read_units
from hipt.tasks.views import task_views
from tests.steps.conftest import SHAPE, Chain
from tests.steps.mapped import TASKS, cohort, fit_tasks


def stage2():
    cfg = RegionEncoderConfig.model_validate({"shape": SHAPE, "random": 2})
    return load_region_encoder(cfg, in_dim=16)


def grids(chain: Chain, slide_id: str) -> torch.Tensor:
    patches = PatchEmbeddings(chain.results.shard("embed_patches", slide_id))
    result = np.stack([patches.grid(i) for i in range(len(patches))]).astype(np.float32)
    return torch.from_numpy(result).transpose(1, 2).reshape(len(result), 16, 4, 4)


def test_maps_are_the_networks_attention_region_by_region(chain: Chain, made: Path):
    cohort(chain, made, fitted=False)
    row = chain.call("attend")["s3"]
    table = read_table(chain.results.shard("attend", "s3"))
    model = stage2()
    with torch.no_grad():
        expected = torch.cat([model.attention(grid[None])[0].T for grid in grids(chain, "s3")])
    assert len(table) == row["patches"] == 16 * row["regions"]
    assert row["maps"] == ["attention"]
    np.testing.assert_allclose(matrix(table["heads"]), expected, atol=1e-6)
    np.testing.assert_allclose(table["attention"], expected.mean(1), atol=1e-6)


def test_shifts_average_over_windows_between_regions(chain: Chain, made: Path):
    cohort(chain, made, fitted=False)
    chain.call("attend")
    before = matrix(read_table(chain.results.shard("attend", "s0"))["heads"])
    chain.values |= {"attend": {"shifts": 2}}
    chain.call("attend")
    after = read_table(chain.results.shard("attend", "s0"))
    moved = (np.abs(matrix(after["heads"]) - before) > 1e-7).any(1)
    assert moved.any()
    # a window moved by two patches reaches no patch of the outermost two rows
    y = after["y"].to_numpy()
    rim = (y - y.min()) // after["read_px"].to_numpy() < 2
    assert rim.any()
    assert not moved[rim].any()


def test_tasks_maps_are_of_folds_that_never_saw_the_slide(chain: Chain, made: Path):
    cohort(chain, made, fitted=True)
    row = chain.call("attend")["s2"]
    assert row["maps"] == [
        "attention",
        "grade.linear.contribution",
        *(f"grade.hipt.{kind}" for kind in ("region", "product", "contribution")),
        "death.linear.contribution",
        *(f"death.abmil.{kind}" for kind in ("region", "product", "contribution")),
    ]
    table = read_table(chain.results.shard("attend", "s2"))
    regions = row["regions"]
    # the survival model saw the case: s2 and s3 together
    units = read_units(chain.results.task("death", "folds.parquet"))
    unit = units.names.index("c1")
    assert units.slides[unit] == ("s2", "s3")
    (fold,) = np.flatnonzero(units.parts[unit] == TEST)
    path = chain.results.fit("death", "abmil", "1", f"fold_{fold}.safetensors")
    model = build("abmil", 16, read_fold(path).logits.shape[1], dropout=0).eval()
    model.load_state_dict(dict(read_fold(path).weights))
    with torch.no_grad():
        both = [torch.cat([stage2()(grid[None]) for grid in grids(chain, s)]) for s in ("s2", "s3")]
        shares = model(pad([torch.cat(both)])).attention[0][:regions]
    result = table["death.abmil.region"].to_numpy().reshape(regions, 16)
    np.testing.assert_allclose(result, shares[:, None].expand(-1, 16), atol=1e-5)
    product = table["death.abmil.product"].to_numpy().reshape(regions, 16)
    np.testing.assert_allclose(product.sum(1), shares, atol=1e-5)
    inside = table["attention"].to_numpy().reshape(regions, 16)
    np.testing.assert_allclose(
        product / product.sum(1, keepdims=True), inside / inside.sum(1, keepdims=True), atol=1e-5
    )


def test_contributions_are_the_derivative_of_the_answer_on_the_way_to_a_patch(
    chain: Chain, made: Path
):
    cohort(chain, made, fitted=True)
    chain.call("attend")
    table = read_table(chain.results.shard("attend", "s4"))
    units = read_units(chain.results.task("grade", "folds.parquet"))
    (fold,) = np.flatnonzero(units.parts[units.names.index("s4")] == TEST)
    path = chain.results.fit("grade", "hipt", "1", f"fold_{fold}.safetensors")
    model = build("hipt", 16, 2, dropout=0).eval().double()
    model.load_state_dict({k: v.double() for k, v in read_fold(path).weights.items()})
    encoder, at = stage2().double(), grids(chain, "s4").double()
    mean = at.mean((0, 2, 3))
    with torch.no_grad():
        vectors = encoder(at)

    def answer(region: int, vector: torch.Tensor) -> float:
        with torch.no_grad():
            bag = vectors.clone()
            bag[region] = vector
            logits = model(pad([bag])).logits[0]
        return float(logits[1] - logits[0])

    step = 1e-5
    for region, patch in ((0, 0), (1, 9)):
        slopes = []
        for share in (0.125, 0.375, 0.625, 0.875):  # of the way from the mean patch
            here = mean[:, None, None] + share * (at[region] - mean[:, None, None])
            moved = here.clone()
            place = (slice(None), patch // 4, patch % 4)
            moved[place] += step * (at[region][place] - mean)
            with torch.no_grad():
                change = encoder(moved[None])[0] - encoder(here[None])[0]
            slopes.append((answer(region, vectors[region] + change) - answer(0, vectors[0])) / step)
        result = table["grade.hipt.contribution"][region * 16 + patch].as_py()
        assert result == pytest.approx(np.mean(slopes), rel=0.01, abs=2e-6)


def test_pictures_pyramids_and_tiles(chain: Chain, made: Path):
    cohort(chain, made, fitted=True)
    rows = chain.call("attend")
    folder = chain.results.maps("s1")
    files = {path.name for path in folder.iterdir()}
    assert files == {"qupath.geojson", "heads.png"} | {
        f"{name}.{kind}" for name in rows["s1"]["maps"] for kind in ("png", "tif")
    }
    overview = read_rgb(chain.results.overview("segment", "s1"))
    with openslide.OpenSlide(folder / "attention.tif") as heat:
        width, height = heat.dimensions
        times = height // overview.shape[0]  # small slides' pictures are enlarged
        assert (height, width) == (times * overview.shape[0], times * overview.shape[1])
        mpp = float(heat.properties["openslide.mpp-x"])
        assert mpp * width == pytest.approx(0.5 * 768, rel=1e-3)
        pixels = np.asarray(heat.read_region((0, 0), 0, (width, height)).convert("RGB"))
    grey = np.ptp(overview.astype(int), axis=2)  # the map's colours are on it
    assert np.ptp(pixels.astype(int), axis=2).mean() > grey.mean()
    collection = json.loads((folder / "qupath.geojson").read_text())
    table = read_table(chain.results.shard("attend", "s1"))
    assert len(collection["features"]) == len(table)
    last = collection["features"][-1]
    box = shapely.geometry.shape(last["geometry"]).bounds
    side = table["read_px"][0].as_py()
    assert box[:2] == (table["x"][-1].as_py(), table["y"][-1].as_py())
    assert (box[2] - box[0], box[3] - box[1]) == (side, side)
    measured = last["properties"]["measurements"]
    assert measured["attention"] == pytest.approx(table["attention"][-1].as_py(), rel=1e-5)
    assert 0 < measured["attention, percentile"] <= 100


def test_files_are_kept_until_something_that_decides_them_changes(chain: Chain, made: Path):
    cohort(chain, made, fitted=True)
    chain.call("attend")
    shard = chain.results.shard("attend", "s5")
    made = shard.stat().st_mtime_ns
    chain.call("attend")
    assert shard.stat().st_mtime_ns == made
    chain.results.maps("s5").joinpath("attention.tif").unlink()
    chain.call("attend")
    assert chain.results.maps("s5").joinpath("attention.tif").exists()
    made = shard.stat().st_mtime_ns
    chain.values["tasks"] = {"grade": TASKS["grade"]}
    assert "death.abmil.contribution" not in chain.call("attend")["s5"]["maps"]
    left = {path.name for path in chain.results.maps("s5").iterdir()}
    assert "death.abmil.contribution.png" not in left
    assert "grade.hipt.contribution.png" in left
    assert shard.stat().st_mtime_ns != made


def test_only_the_chosen_slides_are_mapped(chain: Chain, made: Path):
    cohort(chain, made, fitted=False)
    cfg = settings("attend", Config.model_validate(chain.values))
    out = chain.results.index("attend", "b0000")
    attend.run(chain.results.index("embed_regions", "b0000"), out, cfg, ["s0", "s6"], 1)
    assert read_table(out)["slide_id"].to_pylist() == ["s0", "s6"]
    assert not chain.results.shard("attend", "s1").exists()


def test_slides_of_many_batches_are_listed_in_a_file(chain: Chain, made: Path):
    cohort(chain, made, fitted=False)
    cfg = settings("attend", Config.model_validate(chain.values)).model_dump_json()
    index = [str(chain.results.index(step, "b0000")) for step in ("embed_regions", "attend")]
    command = ["--regions", index[0], "--cfg", cfg, "--out", index[1], "--listed"]
    mapped = chain.results.mapped
    write_mapped(mapped, ["other", "s6", "s0"])
    attend.main([*command, str(mapped)])
    assert read_table(Path(index[1]))["slide_id"].to_pylist() == ["s0", "s6"]
    mapped.write_text("slide\ns0\n")
    with pytest.raises(HiptError, match=r"mapped.csv: is not the list .* start with `snakemake`"):
        attend.main([*command, str(mapped)])


def test_a_slides_regions_are_read_once_for_all_folds_and_models(
    chain: Chain, made: Path, monkeypatch: pytest.MonkeyPatch
):
    config = cohort(chain, made, fitted=True)
    read: list[str] = []

    def counted(path: Path) -> object:
        read.append(path.stem)
        return read_region_embeddings(path)

    monkeypatch.setattr("hipt.tasks.features.read_region_embeddings", counted)
    cfg = settings("attend", config)
    views = list(task_views(cfg.viewed, chain.results.slides))
    assert len(views) == 4
    read.clear()
    for view in views:
        view.attention("s3")
        view.gradients("s3")
    assert sorted(read) == ["s2", "s3"]  # both slides of the case


def test_agreement_is_the_auc_of_each_map(chain: Chain, made: Path, tmp_path: Path):
    from PIL import Image

    cohort(chain, made, fitted=False)
    chain.call("attend")
    table = read_table(chain.results.shard("attend", "s0"))
    attention, labels = table["attention"].to_numpy(), np.zeros((512, 768), np.uint8)
    side = table["read_px"][0].as_py()
    cut = np.median(attention)
    for x, y, value in zip(table["x"], table["y"], attention, strict=True):
        left, top = max(0, x.as_py()), max(0, y.as_py())
        labels[top : y.as_py() + side, left : x.as_py() + side] = 3 if value > cut else 7
    truth = tmp_path / "truth"
    truth.mkdir()
    Image.fromarray(labels).save(truth / "s0.png")
    chain.values |= {"attend": {"labels": str(truth), "target": [3]}}
    cfg = settings("agreement", Config.model_validate(chain.values))
    out = chain.results.agreement
    agreement.run(chain.results.slides, out, cfg)
    result = {row["map"]: row for row in read_table(out).to_pylist()}
    assert result["attention"]["auc"] == 1
    assert result["attention"]["slide_id"] == "s0"
    assert set(result) == {"attention", "head 0", "head 1"}
    assert any(0 < result[f"head {k}"]["auc"] < 1 for k in (0, 1))


def test_without_stage_2_maps_are_of_tasks_and_of_patch_vectors(chain: Chain, made: Path):
    """Region and contribution of every task; what needs stage 2 is left out, and its files go."""
    cohort(chain, made, fitted=False)
    chain.call("attend")
    folder = chain.results.maps("s3")
    assert (folder / "heads.png").exists()
    chain.values["embed"]["regions"] = {"pool": "mean"}
    chain.call("embed_regions")
    chain.table()
    fit_tasks(chain, TASKS)
    chain.values |= {"tasks": TASKS}
    row = chain.call("attend")["s3"]
    tasks = ["grade.linear.contribution", "grade.hipt.region", "grade.hipt.contribution"]
    tasks += ["death.linear.contribution", "death.abmil.region", "death.abmil.contribution"]
    assert row["maps"] == ["component1", "component2", "component3", *tasks]
    maps = read_maps(chain.results.shard("attend", "s3"))
    assert maps.attention.shape == (16 * row["regions"], 0)
    assert list(maps.heads) == []
    drawn = {path.stem for path in folder.glob("*.png")}
    assert drawn == set(row["maps"])
    viewed = settings("attend", Config.model_validate(chain.values)).viewed
    view = next(iter(task_views(viewed, chain.results.slides)))
    assert view.name == "grade.linear"
    gradient = view.gradients("s3")[""]
    # linear is linear: a region's patches move the answer by what its mean is beyond the slide's
    patches = PatchEmbeddings(chain.results.shard("embed_patches", "s3"))
    mean = np.concatenate([patches.grid(i) for i in range(len(patches))]).astype(np.float32).mean(0)
    beyond = np.stack([region_mean(patches, i) for i in range(len(patches))]) - mean
    expected = (beyond * gradient.numpy()).sum(1)
    of_region = maps.maps["grade.linear.contribution"].reshape(-1, 16).sum(1)
    np.testing.assert_allclose(of_region, expected, atol=1e-5)
