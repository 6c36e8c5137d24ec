"""The embed_patches step on real files: which pixels a vector stands for, and what decides it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from timm.models import get_pretrained_cfg

from hipt.config.config import Config, PatchEncoderConfig
from hipt.embedding.weights_files import load_patch_encoder
from hipt.slides.slide import open_slide
from hipt.steps import embed_patches
from hipt.store.schemas import MANIFEST
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, read_table
from tests.slidemaker import damage_tile, tissue_picture, write_slide
from tests.steps.conftest import SHAPE, Chain
from tests.tilemaker import Coding, write_tiles


def test_a_vector_is_the_model_on_the_pixels_of_its_row(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    row = chain.upto("embed_patches")["a"]
    found = PatchEmbeddings(chain.results.shard("embed_patches", "a"))
    manifest = read_table(chain.results.shard("tile", "a"), MANIFEST).to_pylist()
    encoder = load_patch_encoder(PatchEncoderConfig.model_validate({"shape": SHAPE, "random": 1}))
    assert len(manifest) == row["patches"]
    with open_slide(chain.folder / "a.svs") as slide, torch.inference_mode():
        for one in manifest[:: len(manifest) // 7]:
            pixels = slide.read(0, one["x"], one["y"], 64, 64)
            expected = encoder(torch.from_numpy(pixels.copy())[None])[0].numpy()
            got = found.grid(one["region"])[one["patch"]]
            np.testing.assert_allclose(got, expected, atol=2e-3)


def test_a_slide_has_the_same_bytes_alone_and_in_company(chain: Chain):
    for seed, name in enumerate("abc"):
        write_slide(chain.folder / f"{name}.svs", tissue_picture(1024, 768, seed))
    chain.sheet("slide_id,path\nb,b.svs\n")
    chain.upto("embed_patches")
    shard = chain.results.shard("embed_patches", "b")
    alone = shard.read_bytes()
    shard.unlink()
    chain.results.batches.unlink()
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\nc,c.svs\n")
    chain.upto("embed_patches")
    assert shard.read_bytes() == alone


def test_a_damaged_tile_is_marked_and_counted(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    damage_tile(chain.folder / "a.svs", 4, 3)
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["embed"]["patches"]["max_unreadable"] = 0.2
    row = chain.upto("embed_patches")["a"]
    found = PatchEmbeddings(chain.results.shard("embed_patches", "a"))
    rows = [one for i in range(len(found)) for one in found.region(i).to_pylist()]
    lost = {(one["x"], one["y"]) for one in rows if not one["readable"]}
    hit = {
        (one["x"], one["y"])
        for one in rows
        if 1024 - 64 < one["x"] < 1280 and 768 - 64 < one["y"] < 1024
    }
    assert row["status"] == "ok"
    assert lost == hit  # the tile's patches, and not one that was read beside them
    assert row["unreadable_patches"] == len(hit)
    assert 16 <= len(hit) <= 25  # 256 px hold four patches of 64, or parts of five


def test_too_many_damaged_tiles_end_the_slide(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(2048, 1536))
    for column in (3, 4):
        damage_tile(chain.folder / "a.svs", column, 3)
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["embed"]["patches"]["max_unreadable"] = 0.01
    row = chain.upto("embed_patches")["a"]
    assert row["status"] == "damaged"
    assert "max_unreadable is 1%" in row["reason"]
    regions = chain.call("embed_regions")["a"]
    assert (regions["status"], regions["reason"]) == ("damaged", row["reason"])


@pytest.mark.parametrize("gone", ["slide", "sheet"])
def test_a_slide_that_goes_during_the_run_costs_only_itself(chain: Chain, gone: str):
    for name in "ab":
        write_slide(chain.folder / f"{name}.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\nb,b.svs\n")
    chain.upto("tile")
    if gone == "slide":
        (chain.folder / "a.svs").unlink()
        rows = chain.call("embed_patches")
        assert (rows["a"]["status"], rows["b"]["status"]) == ("missing", "ok")
    else:
        (chain.folder / "slides.csv").write_text("slide_id,path\nb,b.svs\n")
        assert chain.call("embed_patches").keys() == {"b"}


def test_vectors_of_a_changed_slide_are_not_kept(chain: Chain):
    """Its manifest, and so the fingerprint, are of the file as it was."""
    first, second = tissue_picture(1024, 768, 1), tissue_picture(1024, 768, 2)
    path = write_slide(chain.folder / "a.svs", first)
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("tile")
    whole = path.read_bytes()
    write_slide(path, second)
    row = chain.call("embed_patches")["a"]
    assert row["status"] == "unreadable"
    assert "a.svs: has changed since it was segmented; run again" in row["reason"]
    shard = chain.results.shard("embed_patches", "a")
    assert not shard.exists()
    path.write_bytes(whole)
    assert chain.call("embed_patches")["a"]["status"] == "ok"


READ = {
    "as they are": {},
    "half the size": {"mpp": 1.0},
    "a level below the first": {"mpp": 2.0},
    "two thirds of the size": {"mpp": 0.75},
}


@pytest.mark.parametrize("name", READ)
def test_vectors_are_the_same_whoever_reads(chain: Chain, name: str):
    """Bit for bit, with a damaged tile among them; and what is there is not made again."""
    chain.values |= READ[name]
    picture = tissue_picture(2048, 1536)
    write_tiles(chain.folder / "a.svs", picture, Coding(tile=(240, 240)))
    damage_tile(chain.folder / "a.svs", 4, 3)
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["embed"]["patches"]["max_unreadable"] = 0.9
    chain.upto("tile")
    shard, found = chain.results.shard("embed_patches", "a"), {}
    for reader in ("openslide", "auto"):
        row = chain.call("embed_patches", "--reader", reader)["a"]
        slide, made_by = PatchEmbeddings(shard), read_provenance(shard)
        batches = [slide.region(i).to_pylist() for i in range(len(slide))]
        found[reader] = batches, made_by.fingerprint
        assert row["reader"] == made_by.software["reader"]
        before = shard.stat().st_mtime_ns
        again = chain.call("embed_patches", "--reader", "direct")["a"]
        assert (again, shard.stat().st_mtime_ns) == (row, before)
        assert row["reader"] == ("openslide" if reader == "openslide" else "direct")
        shard.unlink()
    assert found["openslide"] == found["auto"]
    lost = [one for batch in found["auto"][0] for one in batch if not one["readable"]]
    assert bool(lost) == (name != "a level below the first")  # the damage is on the first


def test_the_reader_is_that_of_the_config_file(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("tile")
    chain.values["slides"]["reader"] = "openslide"
    chain.values["results"] = str(chain.results.root)
    path = chain.folder / "config.yaml"
    path.write_text(Config.model_validate(chain.values).model_dump_json())
    out, tile = (chain.results.index(step, "b0000") for step in ("embed_patches", "tile"))
    embed_patches.main(["--tile", str(tile), "--cfg", str(path), "--out", str(out)])
    shard = chain.results.shard("embed_patches", "a")
    assert read_provenance(shard).software["reader"] == "openslide"
    assert chain.call("embed_patches")["a"]["reader"] == "openslide"  # kept, as it was made
    chain.call("embed_regions")
    assert chain.table()["a"]["reader"] == "openslide"


def test_what_the_network_takes_is_identity_whoever_says_it(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
):
    """An upgrade of timm that changes mean and std makes all vectors again, and no other does."""
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    patches = chain.values["embed"]["patches"]
    patches |= {"encoder": "test_resnet", "encoder_args": {}, "input_px": 64}
    first = chain.upto("embed_patches")["a"]
    settings = read_provenance(chain.results.shard("embed_patches", "a")).settings
    assert settings["mean"] == settings["std"] == [0.5, 0.5, 0.5]
    assert settings["input_px"] == 64
    patches |= {"mean": [0.5] * 3, "std": [0.5] * 3}  # the same, by keys
    assert chain.call("embed_patches")["a"]["fingerprint"] == first["fingerprint"]
    del patches["mean"], patches["std"]
    own = get_pretrained_cfg("test_resnet.r160_in1k", allow_unregistered=False)
    changed = dataclasses.replace(own, mean=(0.4, 0.4, 0.4))
    monkeypatch.setattr("timm.models._builder.get_pretrained_cfg", lambda _: changed)
    assert chain.call("embed_patches")["a"]["fingerprint"] != first["fingerprint"]
    settings = read_provenance(chain.results.shard("embed_patches", "a")).settings
    assert settings["mean"] == [0.4, 0.4, 0.4]


def test_the_network_of_a_file_is_in_the_provenance(chain: Chain):
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    patches = chain.values["embed"]["patches"]
    encoder = load_patch_encoder(PatchEncoderConfig.model_validate({"shape": SHAPE, "random": 1}))
    state = {f"backbone.{name}": x for name, x in encoder.model.state_dict().items()}
    torch.save({"teacher": state}, chain.folder / "w.pth")
    del patches["random"]
    patches["weights"] = str(chain.folder / "w.pth")
    chain.upto("embed_patches")
    made = read_provenance(chain.results.shard("embed_patches", "a"))
    assert made.software["network"] == "teacher.backbone"


def test_a_published_encoder_leaves_what_its_card_asks_for_in_the_record(
    chain: Chain, caplog: pytest.LogCaptureFixture
):
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.values["mpp"] = 1.0
    args = {"depth": 1, "embed_dim": 24, "num_heads": 2}
    chain.values["embed"]["patches"] = {"encoder": "gigapath", "encoder_args": args, "random": 1}
    with caplog.at_level("WARNING"):
        row = chain.upto("embed_patches")["a"]
    assert row["dim"] == 24
    made = read_provenance(chain.results.shard("embed_patches", "a"))
    card = made.facts["contract"]
    assert card["encoder"] == "gigapath"
    assert (card["requested"]["mpp"], card["given"]["mpp"]) == ([0.5], 1.0)
    sentence = "gigapath's card asks for 0.5 um/px, and patches have 1"
    assert card["deviations"][0] == sentence
    assert sentence in caplog.messages
    assert made.settings["encoder"] == "vit_giant_patch14_dinov2"
    assert made.settings["encoder_args"]["patch_size"] == 16  # the card's
    assert (made.settings["input_px"], made.settings["resize_px"]) == (224, 256)


def test_the_card_by_name_and_by_hand_are_one(chain: Chain):
    """What was embedded by hand with a card's numbers is kept under its name, and made by it."""
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    args = {"depth": 1, "embed_dim": 24, "num_heads": 2}
    by_hand = {"encoder": "vit_small_patch16_224", "encoder_args": args, "random": 1}
    by_hand |= {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear", "pooling": "cls"}
    chain.values["embed"]["patches"] = by_hand
    first = chain.upto("embed_patches")["a"]["fingerprint"]
    by_name = {"encoder": "kaiko-s16", "encoder_args": args, "random": 1}
    chain.values["embed"]["patches"] = by_name
    assert chain.call("embed_patches")["a"]["fingerprint"] == first
    chain.values["embed"]["patches"] = by_name | {"pooling": "mean"}
    assert chain.call("embed_patches")["a"]["fingerprint"] != first


def test_vectors_of_our_own_network_keep_their_fingerprint(chain: Chain):
    """Keys that nobody set are no part of what decides vectors made before they were there."""
    write_slide(chain.folder / "a.svs", tissue_picture(512, 384))
    chain.sheet("slide_id,path\na,a.svs\n")
    chain.upto("embed_patches")
    made = read_provenance(chain.results.shard("embed_patches", "a"))
    assert made.settings == {
        **{"encoder": "hipt", "encoder_args": {}, "shape": SHAPE, "which": None},
        **{"input_px": None, "mean": [0.5] * 3, "std": [0.5] * 3, "precision": "fp32"},
        "background": "embed",
    }
    assert made.facts == {}
