"""What fuzzing found, each kind once, said by its sentence."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tifffile
import torch

from hipt.cohort.batch_run import kept_facts, read_seconds
from hipt.cohort.headers import slide_mpp
from hipt.cohort.sheet import SlideRow
from hipt.config.command_line import parse_json, read_config
from hipt.config.config import Config
from hipt.config.section import parse
from hipt.embedding.weights_files import load_patch_encoder, read_weights
from hipt.errors import LONGEST_SENTENCE, HiptError, SlideError
from hipt.exchange.annotations import read_outside_mask
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import read_patches
from hipt.exchange.foreign_vectors import read_features
from hipt.exchange.tree import ExportTree
from hipt.heatmaps.table import listed
from hipt.slides.slide import SlideInfo, open_slide
from hipt.steps import check
from hipt.store.images import read_labels, read_mask
from hipt.store.tables import PatchEmbeddings
from hipt.tasks.labels.label_tables import read_label_table
from hipt.tasks.labels.split_files import read_splits
from tests.fuzz import arrays, samples
from tests.fuzz.bombs import png, zip_bomb
from tests.slidemaker import tissue_picture, write_slide


def test_a_sentence_is_one_printable_line_and_not_endless():
    said = str(HiptError.at("a.csv", "holds \x1b[31mred\x07 and\nmore\u202e\u2028; mend it"))
    assert said == "a.csv: holds \\x1b[31mred\\x07 and more\\u202e\\u2028; mend it"
    long = str(HiptError.at("a.csv", "x" * 5000 + "; mend it"))
    assert len(long) <= LONGEST_SENTENCE
    assert long.startswith("a.csv: xxx")
    assert long.endswith("x; mend it")
    assert SlideError("unreadable", "a\nb").reason == "a b"
    assert str(HiptError("a  b.svs: é ü 病理")) == "a  b.svs: é ü 病理"  # names stay as they are


@pytest.mark.parametrize(
    "text",
    ["[" * 5000, "a: 2001-99-99", "a: !!int x", "a: !!bool maybe", "a: !!timestamp x", "a: =",
     "mpp: " + "9" * 5000, "mpp: 0x" + "f" * 6000, "a: &a [*a]", "\0", "\ud800"],
)  # fmt: skip
def test_yaml_that_python_stumbles_over(tmp_path: Path, text: str):
    path = tmp_path / "config.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(HiptError, match=r"config\.yaml: ") as error:
        read_config(path)
    assert len(str(error.value)) <= LONGEST_SENTENCE


def test_yaml_that_multiplies(tmp_path: Path):
    """Aliases in lists cost nothing; merges of merges are stopped."""
    path = tmp_path / "config.yaml"
    laughs = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{f'*a{i - 1}, ' * 10}]" for i in range(1, 30)]
    path.write_text("\n".join(laughs))
    with pytest.raises(HiptError, match="unknown key 'a0'"):
        read_config(path)
    merges = ["a0: &a0 {x: 1, y: 2}"]
    merges += [f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 10}]}}" for i in range(1, 30)]
    path.write_text("\n".join(merges))
    with pytest.raises(HiptError, match="a mapping has more than 10,000 keys"):
        read_config(path)


def test_settings_as_json_that_are_none():
    for text in ("{", '{"a":' * 5000, "{]"):
        with pytest.raises(HiptError, match="config: not readable as JSON"):
            parse_json(Config, text, "config")
        with pytest.raises(HiptError, match="config: not readable as JSON"):
            check.main(["--cfg", text])
    with pytest.raises(HiptError, match="mpp: must be a number, got a huge number"):
        parse(Config, {"mpp": 10**5000}, "config")


def test_a_fold_with_thousands_of_digits(tmp_path: Path):
    (tmp_path / "k.tsv").write_text(f"slide_id\tfold_{'9' * 5000}\na\ttrain\n")
    with pytest.raises(HiptError, match="column 'fold_0' is missing"):
        read_splits(tmp_path / "k.tsv")


@pytest.mark.parametrize(
    "text", ["", "a,b\n1,2\n", "slide_id,seconds\na,x\n", "slide_id,seconds\na\n"]
)
def test_damaged_seconds_are_none(tmp_path: Path, text: str):
    (tmp_path / "b.csv").write_text(text)
    assert read_seconds(tmp_path / "b.csv") == {}


@pytest.mark.parametrize(
    "name", ["../kept", "/tmp/../kept", "x/../../kept", "kept\0", "a" * 300, ""]
)
def test_an_export_note_deletes_nothing_else(tmp_path: Path, name: str):
    tree = ExportTree(tmp_path / "tree")
    (tmp_path / "kept").touch()
    note = tmp_path / "tree" / ".hipt" / "a.json"
    note.parent.mkdir(parents=True)
    note.write_text(json.dumps({"fingerprint": "f", "sizes": {name: 0}, "counts": {}}))
    assert tree.kept("a", "f") is None
    tree.remove("a")
    assert (tmp_path / "kept").exists()
    assert not note.exists()


def test_a_table_of_maps_lists_nothing_elsewhere(tmp_path: Path):
    from hipt.store.provenance import Provenance
    from hipt.store.schemas import attention_schema
    from hipt.store.tables import write_table

    schema = attention_schema(1, ["attention"])
    facts = {"maps": ["../../kept", "attention"], "heads": 1, "closer": []}
    made = Provenance("attend", 1, "f", {}, {}, facts)
    write_table(tmp_path / "a.parquet", arrays._columns(schema, 1), schema, made)
    names = {path.relative_to(tmp_path / "a").name for path in listed(tmp_path / "a.parquet")}
    assert names == {"attention.png", "attention.tif", "heads.png", "qupath.geojson"}


@pytest.mark.parametrize("size", [(30_000, 30_000), (2**31 - 1, 2**31 - 1), (1 << 20, 1 << 20)])
def test_a_picture_of_a_few_kb_does_not_become_gigabytes(tmp_path: Path, size: tuple[int, int]):
    (tmp_path / "a.png").write_bytes(png(*size))
    for read in (read_mask, read_labels):
        with pytest.raises(HiptError, match=r"a\.png: .*pixels|a\.png: is damaged"):
            read(tmp_path / "a.png")


def test_a_label_map_of_a_whole_slide_is_read(tmp_path: Path):
    from PIL import Image

    Image.fromarray(np.ones((9000, 21_000), np.uint8)).save(tmp_path / "a.png")  # above PIL's bound
    assert read_labels(tmp_path / "a.png").shape == (9000, 21_000)


def test_label_tables_that_unpack_without_end(tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(zip_bomb(1 << 29))
    with pytest.raises(HiptError, match=r"a\.zip: unpacks to 536,870,912 bytes"):
        read_label_table(tmp_path / "a.zip", ["grade"], "tasks.x")
    many = pa.DictionaryArray.from_arrays(pa.array(np.zeros(6_000_000, np.int8)), ["c1"])
    (tmp_path / "a.parquet").write_bytes(arrays.parquet({"case_id": many, "grade": many}))
    with pytest.raises(HiptError, match=r"a\.parquet: has 6,000,000 rows of 2 columns"):
        read_label_table(tmp_path / "a.parquet", ["grade"], "tasks.x")


def test_features_that_unpack_without_end(tmp_path: Path):
    def packed(file) -> None:
        file.create_dataset("features", (1_500_000, 512), "f4", chunks=(4096, 512))

    (tmp_path / "a.h5").write_bytes(arrays.h5(arrays.SIDE, packed, coords=arrays.COORDS))
    with pytest.raises(SlideError, match="which nothing packs so small"):
        read_features(FeatureFiles(tmp_path), "a")


@pytest.mark.parametrize("far", [2.0**40, np.inf, -1e30])
def test_coordinates_where_no_slide_is(tmp_path: Path, far: float):
    coords = arrays.COORDS.astype(np.float64)
    coords[2, 1] = far
    (tmp_path / "a.h5").write_bytes(arrays.h5(arrays.SIDE, features=arrays.FEATURES, coords=coords))
    with pytest.raises(SlideError, match="beyond 2,147,483,647 px"):
        read_patches(FeatureFiles(tmp_path), "a")


@pytest.mark.parametrize("side", [np.nan, np.inf, -1.0, 0, 1e30, "x", [1, 2, np.nan], []])
def test_a_patch_without_a_side(tmp_path: Path, side: object):
    data = arrays.h5({"patch_size_level0": side}, features=arrays.FEATURES, coords=arrays.COORDS)
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(SlideError, match="says of a patch's side"):
        read_patches(FeatureFiles(tmp_path), "a")


@pytest.mark.parametrize("number", range(14))
def test_checkpoints_of_other_things(tmp_path: Path, number: int):
    path = tmp_path / "w.pth"
    path.write_bytes(samples.odd_checkpoints()[number])
    with pytest.raises(HiptError, match=r"w\.pth"):
        load_patch_encoder(_encoder(path))


def _encoder(path: Path):
    from hipt.config.config import PatchEncoderConfig, ViTShape

    return PatchEncoderConfig(shape=ViTShape(depth=1, dim=8, heads=1), weights=str(path))


@pytest.mark.parametrize("mean", ["[", "[1]", '"abc"', "{}", "[" * 5000, "null"])
def test_weights_with_a_wrong_mean(tmp_path: Path, mean: str):
    from hipt.embedding.weights_files import write_weights

    path = tmp_path / "w.safetensors"
    write_weights(path, samples._state(), {"mean": mean, "std": "[1, 1, 1]"})
    with pytest.raises(HiptError, match="mean and std are no three numbers each"):
        load_patch_encoder(_encoder(path))


def test_metadata_that_is_no_table(tmp_path: Path):
    from safetensors.torch import save_file

    save_file({"w": torch.zeros(1)}, tmp_path / "w.safetensors", {"hipt": "[1, 2]"})
    with pytest.raises(HiptError, match=r"w\.safetensors: is damaged"):
        read_weights(tmp_path / "w.safetensors")


def test_patch_embeddings_damaged_in_the_middle(tmp_path: Path):
    path, (whole,) = tmp_path / "a.arrow", arrays.patch_embeddings()

    def problem(at: int) -> str:
        path.write_bytes(whole.data[:at] + b"\xff" * 16 + whole.data[at + 16 :])
        kept_facts(path, "f")
        try:
            return str([PatchEmbeddings(path).grid(i) for i in range(2)])
        except HiptError as error:
            return str(error)

    said = [problem(at) for at in range(0, len(whole.data), 40)]
    assert sum(f"{path}: not readable as Arrow" in one for one in said) > 10


def test_areas_that_numbers_cannot_hold(tmp_path: Path):
    path = tmp_path / "a.geojson"
    ring = [[0, 0], [10**400, 0], [0, 10], [0, 0]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    with pytest.raises(HiptError, match="feature 1 has no geometry that can be read"):
        read_outside_mask(path, (8, 8), 1.0)


@pytest.mark.parametrize("mpp", [1e-9, 0.001, 1e6])
def test_a_resolution_that_no_microscope_has(tmp_path: Path, mpp: float):
    info = SlideInfo("aperio", None, (mpp, mpp), "header", 9, 9, (1.0,), (0, 0, 9, 9))
    with pytest.raises(SlideError, match="is none of a microscope") as error:
        slide_mpp(info, SlideRow("a", tmp_path, "a"), None)
    assert error.value.status == "no_mpp"


def test_a_header_that_claims_a_slide_of_metres(tmp_path: Path):
    path = write_slide(tmp_path / "a.svs", tissue_picture(512, 384))
    with open_slide(path) as slide:
        slide.info = replace(slide.info, width_px=1 << 20, height_px=1 << 20, downsamples=(1.0,))
        with pytest.raises(SlideError, match="its header says 1,048,576 x 1,048,576 px"):
            slide.thumbnail(16)


def test_a_header_that_claims_a_tile_of_gigabytes(tmp_path: Path):
    path = write_slide(tmp_path / "a.tif", tissue_picture(512, 384), kind="generic")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["TileLength"].overwrite(1 << 24)
    with pytest.raises(SlideError, match="its header says that a tile has 4,294,967,296 px"):
        open_slide(path)


@pytest.mark.parametrize("claimed", [1 << 33, (1 << 63) - 1])
def test_a_header_that_claims_tiles_that_no_memory_holds(tmp_path: Path, claimed: int):
    """OpenSlide would end the process."""
    path = write_slide(tmp_path / "a.svs", tissue_picture(512, 384))
    with tifffile.TiffFile(path) as tif:
        assert not tif.is_bigtiff
        counts, big = list(tif.pages[0].databytecounts), tmp_path / "b.svs"
        with tifffile.TiffWriter(big, bigtiff=True) as out:
            out.write(tif.pages[0].asarray(), tile=(256, 256), photometric="rgb",
                      compression="jpeg", description=tif.pages[0].description)  # fmt: skip
    with tifffile.TiffFile(big) as tif:
        tag, end = tif.pages[0].tags["TileByteCounts"].offset, big.stat().st_size
    counts[0] = claimed
    data = bytearray(big.read_bytes()) + struct.pack(f"<{len(counts)}Q", *counts)
    data[tag : tag + 20] = struct.pack("<HHQQ", 325, 16, len(counts), end)  # 16: 64 bits each
    big.write_bytes(data)
    with pytest.raises(SlideError, match=f"its header says that a tile has {claimed:,} bytes"):
        open_slide(big)


def test_a_thumbnail_asked_for_far_too_small(tmp_path: Path):
    path = write_slide(tmp_path / "a.svs", tissue_picture(512, 384))
    with open_slide(path) as slide:
        small, scale, _ = slide.thumbnail(1e9)
    assert small.shape == (1, 1, 3)
    assert scale <= 4096


def test_a_name_too_long_for_a_file_is_a_missing_slide():
    with pytest.raises(SlideError, match="File name too long") as error:
        open_slide(Path("a" * 300))
    assert error.value.status == "missing"
