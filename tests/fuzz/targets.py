"""All that reads what comes from outside, each with good files to damage."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import save

from hipt.config import Config
from hipt.io.annotations import read_outside_mask
from hipt.io.batches import read_ledger
from hipt.io.checkpoints import read_weights
from hipt.io.corpus_choice import chosen
from hipt.io.corpus_list import read_corpus_list
from hipt.io.feature_files import FeatureFiles
from hipt.io.foreign_features import features_identity, features_width, read_features, read_patches
from hipt.io.headers import slide_mpp, slide_plan
from hipt.io.images import read_labels, read_rgb
from hipt.io.indices import kept_facts
from hipt.io.label_tables import read_label_table
from hipt.io.settings import read_config, read_settings
from hipt.io.shards import Provenance
from hipt.io.sheets import SlideRow, read_sheet
from hipt.io.slides import UnreadableTileError, identity, open_slide
from hipt.io.split_files import read_splits
from hipt.io.tables import (
    MANIFEST,
    PatchEmbeddings,
    patch_embeddings_schema,
    patch_embeddings_writer,
    read_table,
    vectors,
    write_table,
)
from hipt.io.task_features import FileFeatures
from hipt.io.training import read_state
from hipt.told import SegmentSettings, settings
from tests.slidemaker import tissue_picture, write_slide

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Target:
    """One reader."""

    seeds: Callable[[Path], Sequence[bytes]]
    """Good files; may make them in a folder."""
    read: Callable[[Path], object]
    """Reads the file `name` in a folder."""
    name: str
    """What the file is called."""


def texts(*lines: str) -> Callable[[Path], Sequence[bytes]]:
    return lambda _: [line.encode() for line in lines]


SHEET = (
    """slide_id,path,case_id,site,mpp,mask,exclude,grade
a,a.svs,c1,north,0.25,,no,high
0012,"slides/b,1.svs",c2,,,m.geojson,yes,
""",
    "slide_id;path\r\nä;/data/ä.svs\r\nTCGA-AB-1234-01Z;~/x.tif\r\n",
)
FEATURE = {
    "type": "Feature",
    "properties": {"classification": {"name": "Tumor", "names": ["Ignore", "x"]}},
    "geometry": {
        "type": "Polygon",
        "coordinates": [
            [[10, 10], [900, 10], [900, 900], [10, 900], [10, 10]],
            [[50, 50], [80, 50], [80, 80], [50, 50]],
        ],
    },
}
GEOJSON = (
    json.dumps({"type": "FeatureCollection", "features": [FEATURE, FEATURE]}),
    json.dumps([FEATURE]),
    json.dumps(FEATURE["geometry"]),
)
LABELS = "slide_id,case_id,site,class\na.svs,c1,n,x\nb,c2,,y\n0003,c3,s,\n"
SPLITS = (
    "case_id\tslide_id\tfold_0\tfold_1\nc1\ta\ttrain\ttest\nc2\tb\tval\ttrain\n",
    "slide_id,fold_0\na.svs,train\nb.h5,test\n",
)
CLAM = ",train,val,test\n0,a,b,c\n1,d,,\n"
LEDGER = "slide_id,batch,row_digest\na,b0000,0123\nb,b0001,4567\n"
CORPUS = "slide_id,fingerprint,regions,patches\na,00ff,3,700\nb,11ee,1,12\n"
ROWS = [SlideRow("a", Path("a"), "a"), SlideRow("b", Path("b"), "b")]


def picture(mode: str, kind: str = "PNG") -> bytes:
    held = io.BytesIO()
    noise = np.random.default_rng(1).integers(0, 3, (64, 48), np.uint8)
    Image.fromarray(noise, "L").convert(mode).save(held, kind)
    return held.getvalue()


def state() -> dict[str, torch.Tensor]:
    return {"blocks.0.weight": torch.ones(3, 4), "norm.bias": torch.zeros(4)}


def pickled(_: Path) -> list[bytes]:
    held, old = io.BytesIO(), io.BytesIO()
    torch.save({"teacher": {f"module.backbone.{k}": v for k, v in state().items()}}, held)
    torch.save(state(), old, _use_new_zipfile_serialization=False)
    return [held.getvalue(), old.getvalue()]


def training(_: Path) -> list[bytes]:
    held = io.BytesIO()
    torch.save({"settings": "s", "steps": torch.ones(2, 6), "sources": "[null]"}, held)
    return [held.getvalue()]


def hdf5(folder: Path) -> list[bytes]:
    path = folder / "good.h5"
    for options in ({}, {"chunks": (2, 2), "compression": "gzip"}):
        with h5py.File(path, "w") as file:
            coords = file.create_dataset("coords", data=np.arange(12).reshape(6, 2), **options)
            coords.attrs["patch_size_level0"] = 256
            file.create_dataset("features", data=np.ones((6, 4), np.float32), **options)
    return [path.read_bytes()]


def zipped(_: Path) -> list[bytes]:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("labels.csv", LABELS)
    return [held.getvalue()]


def parquet(folder: Path) -> list[bytes]:
    path = folder / "good.parquet"
    columns = {"slide_id": list("aaab"), "x": [0.0, 1.0, 2.0, 3.0], "y": [0.0] * 4}
    pq.write_table(pa.table(columns | {"embedding": vectors(np.ones((4, 3), np.float32))}), path)
    return [path.read_bytes()]


def manifest(folder: Path) -> list[bytes]:
    path = folder / "good.parquet"
    values = {"slide_id": ["a", "a"], **{name: [0, 1] for name in MANIFEST.names[1:]}}
    write_table(path, values, MANIFEST, Provenance("tile", 1, "f" * 32, {}, {}))
    return [path.read_bytes()]


def arrow(folder: Path) -> list[bytes]:
    path, n = folder / "good.arrow", 4
    schema = patch_embeddings_schema(3)
    made: Mapping[str, object] = {
        "slide_id": ["a"] * n,
        "region": np.zeros(n, np.int32),
        "patch": np.arange(n, dtype=np.int16),
        "x": np.arange(n),
        "y": np.arange(n),
        "tissue": np.ones(n, np.float32),
        "readable": [True] * n,
        "embedding": vectors(np.ones((n, 3), np.float16)),
    }
    provenance = Provenance("embed_patches", 1, "f" * 32, {}, {"manifest": "m"})
    with patch_embeddings_writer(path, schema, provenance) as writer:
        columns = [pa.array(made[k], schema.field(k).type) if k != "embedding" else made[k]
                   for k in schema.names]  # fmt: skip
        writer.write_batch(pa.record_batch(columns, schema=schema))
    return [path.read_bytes()]


def slide(folder: Path) -> list[bytes]:
    aperio = write_slide(folder / "a.svs", tissue_picture(256, 192, 1), mpp=0.5)
    generic = write_slide(folder / "b.tif", tissue_picture(256, 192, 2), mpp=0.25, kind="generic")
    return [aperio.read_bytes(), generic.read_bytes()]


def read_slide(path: Path) -> None:
    """As segment and tile look at a slide, and some reading."""
    identity(path)
    with open_slide(path) as opened:
        mpp = slide_mpp(opened.info, SlideRow("a", path, "a"), None)
        slide_plan(mpp.value, opened.info.downsamples, 0.5, 0.1, 256)
        opened.thumbnail(4.0)
        with suppress(UnreadableTileError):
            opened.read(0, 10, 10, 200, 150)


def read_hdf5(path: Path) -> None:
    files = FeatureFiles(path.parent)
    features_width(files)
    features_identity(files, path.stem)
    read_patches(files, path.stem)
    read_features(files, path.stem)


def read_shard(path: Path) -> None:
    """As later steps read embeddings."""
    kept_facts(path, "f" * 32)
    opened = PatchEmbeddings(path)
    for index in range(len(opened)):
        opened.region(index)
        opened.grid(index)


def read_features_file(path: Path) -> None:
    features = FileFeatures(path)
    for slide_id in features.slides():
        features.regions(slide_id)


TARGETS = {
    "sheet": Target(texts(*SHEET), lambda p: [r.digest() for r in read_sheet(p)], "sheet.csv"),
    "config": Target(
        lambda _: [(ROOT / f"config/{n}.yaml").read_bytes() for n in ("config", "demo")],
        read_config,
        "config.yaml",
    ),
    "settings": Target(
        lambda _: [settings("segment", Config()).model_dump_json().encode()],
        lambda p: read_settings("segment", SegmentSettings, "{" + p.read_text("latin-1")[1:]),
        "settings.json",
    ),
    "geojson": Target(
        texts(*GEOJSON), lambda p: read_outside_mask(p, (64, 64), 16.0), "mask.geojson"
    ),
    "mask": Target(
        lambda _: [picture("1"), picture("P"), picture("L", "JPEG"), picture("L", "TIFF")],
        lambda p: read_outside_mask(p, (64, 64), 16.0),
        "mask.png",
    ),
    "label_map": Target(lambda _: [picture("L"), picture("P")], read_labels, "labels.png"),
    "overview": Target(lambda _: [picture("RGB", "JPEG")], read_rgb, "overview.jpg"),
    "label_table": Target(
        texts(LABELS), lambda p: read_label_table(p, ["class"], "tasks.a.label"), "labels.csv"
    ),
    "label_zip": Target(
        zipped, lambda p: read_label_table(p, ["class"], "tasks.a.label"), "labels.zip"
    ),
    "label_parquet": Target(
        parquet, lambda p: read_label_table(p, ["slide_id"], "tasks.a.label"), "labels.parquet"
    ),
    "splits": Target(texts(*SPLITS), lambda p: read_splits(p, ["a", "b"]), "splits.csv"),
    "clam_splits": Target(texts(CLAM), lambda p: read_splits(p.parent), "splits_0.csv"),
    "safetensors": Target(lambda _: [save(state(), {"hipt": "{}"})], read_weights, "w.safetensors"),
    "checkpoint": Target(pickled, read_weights, "w.pth"),
    "training_state": Target(training, lambda p: read_state(p, "s"), "checkpoint.pt"),
    "hdf5": Target(hdf5, read_hdf5, "a.h5"),
    "task_features": Target(parquet, read_features_file, "features.parquet"),
    "corpus": Target(texts("a\nb\n"), lambda p: chosen(ROWS, str(p)), "corpus.txt"),
    "corpus_list": Target(texts(CORPUS), read_corpus_list, "vit256.corpus.csv"),
    "ledger": Target(texts(LEDGER), read_ledger, "batches.csv"),
    "table": Target(manifest, lambda p: read_table(p, MANIFEST), "a.parquet"),
    "shard": Target(arrow, read_shard, "a.arrow"),
    "slide": Target(slide, read_slide, "a.svs"),
}
