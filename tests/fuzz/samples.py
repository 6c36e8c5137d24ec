"""Small files that are in order, made on the spot; and odd ones, for the readers to refuse."""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.mutations import Seed

YAML_TOKENS = (
    *(b"&a *a <<: !!int !!float !!bool !!binary !!timestamp 2001-99-99 !!set !!omap =".split()),
    *(b"!!python/object/apply:os.system {} ? | > - : @ ` %YAML ---".split()),
    b"!!python/object/apply:os.system ['touch x']",
    b"\ntile:\n  min_tissue: 0.2\n",
)


def configs() -> Sequence[Seed]:
    text = """slides: {sheet: s.csv, batch_size: 16}
results: results
tile:
  min_tissue: 0.1   # share
embed: {patches: {encoder: vit_small, encoder_args: {a: 1}, random: 1}}
tasks:
  one: &one {kind: classification, label: grade, classes: [a, b],
    published: {hipt: {1.0: [0.9, 0.1]}}}
  two: {<<: *one, label: other}
attend: {slides: [a, b], target: [1, 2], labels: maps}
"""
    as_json = {"tile": {"region_px": 4096}, "slides": {"default_mpp": 0.5}, "mpp": 0.5, "knn": {}}
    as_json |= {"tasks": {"t": {"kind": "survival", "time": "m", "event": "e"}}, "probe": {"k": 3}}
    return [Seed(text.encode()), Seed(json.dumps(as_json).encode())]


def settings() -> Sequence[Seed]:
    from hipt.config.config import Config
    from hipt.config.step_settings import settings as told

    return [Seed(told("segment", Config()).model_dump_json().encode())]


def dicom_headers() -> Sequence[Seed]:
    from tests.dicommaker import EXPLICIT, IMPLICIT, element, header, sequence

    item = element(8, 0x100, "SH", "code")
    between = sequence(0x20, 0x9221, sequence(0x20, 0x9222, item, endless=True), endless=True)
    return [
        Seed(header("1.2.3", syntax=EXPLICIT, between=between)),
        Seed(header("1.2.3", syntax=IMPLICIT)),
    ]


def geojson() -> Sequence[Seed]:
    square = [[80, 80], [400, 80], [400, 320], [80, 320], [80, 80]]
    hole = [[160, 160], [200, 160], [200, 200], [160, 160]]
    named = {"classification": {"name": "Tissue"}, "objectType": "annotation"}
    one = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [square, hole]}}
    two = {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": [[hole]]}}
    two |= {"properties": {"classification": {"names": ["Exclude", "x"]}}}
    whole = {"type": "FeatureCollection", "features": [one | {"properties": named}, two]}
    bag = {"type": "GeometryCollection", "geometries": [one["geometry"]]}
    return [Seed(json.dumps(form).encode()) for form in (whole, whole["features"], bag)]


def odd_geojson() -> Sequence[bytes]:
    def polygon(*points: tuple[float, float]) -> bytes:
        return json.dumps({"type": "Polygon", "coordinates": [[*points, points[0]]]}).encode()

    nested: Any = {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]}
    for _ in range(150):
        nested = {"type": "GeometryCollection", "geometries": [nested]}
    comb = [(float(i), 0.0 if i % 2 else 1e9) for i in range(1000)]
    return [
        polygon((0, 0), (1e308, 0), (1e308, 1e308)),
        polygon((0, 0), (1e200, 1e-200), (-1e200, 1e200)),
        polygon(*comb),
        json.dumps(nested).encode(),
        b'{"features": [' + b",".join([polygon((0, 0), (9, 0), (9, 9))] * 3000) + b"]}",
    ]


def _picture(mode: str, form: str, **options: Any) -> bytes:
    from PIL import Image

    rng = np.random.default_rng(3)
    values = (rng.random((32, 48)) < 0.5).astype(np.uint8) * 2
    held = io.BytesIO()
    Image.fromarray(values).convert(mode).save(held, form, **options)
    return held.getvalue()


def pictures() -> Sequence[Seed]:
    made = [_picture("L", "PNG"), _picture("1", "PNG"), _picture("P", "PNG")]
    made += [_picture("L", "TIFF", compression="tiff_lzw"), _picture("L", "TIFF")]
    return [Seed(data, ((0, 60), (max(0, len(data) - 200), len(data)))) for data in made]


def odd_pictures() -> Sequence[bytes]:
    from tests.fuzz.bombs import png

    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) (w) file\n%%EOF\n"
    forms = ("GIF", "BMP", "PPM", "TGA", "PCX", "ICO", "SGI", "WEBP", "JPEG2000", "JPEG")
    made = [_picture("RGB", form) for form in forms]
    return [eps, *made, _picture("I;16", "TIFF"), png(30_000, 30_000), png(2**31 - 1, 2**31 - 1)]


def shard_png() -> Sequence[Seed]:
    from PIL import PngImagePlugin

    from hipt.store.provenance import KEY, Provenance

    text = PngImagePlugin.PngInfo()
    text.add_text(KEY, Provenance("segment", 1, "f", {}, {}, {"a": 1}).to_json())
    data = _picture("1", "PNG", pnginfo=text)
    return [Seed(data, ((0, 300),))]


def _state() -> dict[str, Any]:
    from hipt.config.config import ViTShape
    from hipt.nn.vit import initialise, vit256

    model = vit256(ViTShape(depth=1, dim=8, heads=1))
    initialise(model, 0)
    return model.state_dict()


def safetensors() -> Sequence[Seed]:
    from safetensors.torch import save

    data = save(_state(), {"hipt": json.dumps({"mean": "[0.5,0.5,0.5]", "std": "[0.5,0.5,0.5]"})})
    return [Seed(data, ((0, 9), (8, 1500)))]


def safetensors_header() -> Sequence[Seed]:
    data = safetensors()[0].data
    size = struct.unpack("<Q", data[:8])[0]
    return [Seed(data[8 : 8 + size])]


def with_header(header: bytes) -> bytes:
    data = safetensors()[0].data
    size = struct.unpack("<Q", data[:8])[0]
    return struct.pack("<Q", len(header)) + header + data[8 + size :]


def _saved(value: object, **options: Any) -> bytes:
    import torch

    held = io.BytesIO()
    torch.save(value, held, **options)
    return held.getvalue()


def checkpoint() -> Sequence[Seed]:
    import argparse

    state = {f"module.backbone.{name}": value for name, value in _state().items()}
    data = _saved({"teacher": state, "epoch": 3, "args": argparse.Namespace(lr=1.0)})
    return [Seed(data, ((0, 3000), (len(data) - 1500, len(data))))]


def old_checkpoint() -> Sequence[Seed]:
    data = _saved(_state(), _use_new_zipfile_serialization=False)
    return [Seed(data, ((0, 3000),))]


def odd_checkpoints() -> Sequence[bytes]:
    import argparse

    import torch

    state = _state()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch is about to give them up
        whole = torch.quantize_per_tensor(torch.zeros(8), 0.1, 0, torch.qint8)
    values: list[Any] = [
        *([1, 2], 3, "text", torch.zeros(2), {}, {1: torch.zeros(2)}, {"teacher": 5}, None),
        *({"teacher": [torch.zeros(2)]}, {"teacher": torch.zeros(3)}, {"teacher": {2: 3}}),
        *({"args": argparse.Namespace(a=1)}, argparse.Namespace(get=1), {(1, 2): torch.zeros(1)}),
        state | {"norm.weight": torch.zeros(8).to_sparse()},
        state | {"norm.weight": torch.zeros(8, dtype=torch.complex64)},
        state | {"norm.weight": whole},
        state | {"norm.weight": torch.zeros(8, device="meta")},
        state | {"norm.weight": torch.zeros(1).expand(8)},
        state | {"norm.weight": torch.zeros(1).expand(2**40)},
        state | {"\x1b[31mred\nline" * 40: torch.zeros(1)},
        {f"{i}" * 200: torch.zeros(1) for i in range(300)},
    ]
    return [_saved(value) for value in values]


def training_state() -> Sequence[Seed]:
    import torch

    data = _saved({"settings": "settings", "step": 3, "student": {"w": torch.zeros(2, 3)}})
    return [Seed(data, ((0, 900), (len(data) - 900, len(data))))]


def fold() -> Sequence[Seed]:
    import torch
    from safetensors.torch import save

    from hipt.store.provenance import Provenance

    facts = {"units": ["a", "b"], "regions": [2, 1], "chosen": 0, "slope": 1.0}
    made = vars(Provenance("fit", 1, "f", {}, {"folds": "f"}, {}, {"device": "cpu"}))
    tensors = {"weights.w": torch.zeros(2), "curve": torch.zeros(1, 2)}
    tensors |= {"logits": torch.zeros(2, 2), "attention": torch.ones(3)}
    tensors["calibrated"] = torch.full((2, 2), 0.5)
    data = save(tensors, {"hipt": json.dumps({**made, "fold": json.dumps(facts)})})
    return [Seed(data, ((0, 9), (8, 900)))]


def examples() -> Sequence[Seed]:
    from hipt.store.images import jpeg_bytes
    from hipt.store.provenance import Provenance

    text = Provenance("examples", 1, "f", {}, {"folds": "f"}).to_json()
    data = jpeg_bytes(np.full((16, 16, 3), 200, np.uint8), comment=text)
    return [Seed(data, ((0, 300),))]


def model_facts() -> Sequence[Seed]:
    from hipt.config.config import Config
    from hipt.config.pretraining import recipe

    config = Config()
    told = recipe("pretrain.patches", config.pretrain.patches, config.embed.patches.vit_shape)
    facts = {"recipe": json.dumps(told), "corpus": "0f" * 32, "iterations": "7", "data": told}
    return [Seed(json.dumps(facts).encode())]


def with_facts(facts: bytes) -> bytes:
    """A model that says this of itself; its recipe as in `data`, where that is damaged."""
    import torch
    from safetensors.torch import save

    text = facts.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        if "data" in told:
            text = json.dumps(told | {"recipe": json.dumps(told.pop("data"))})
    except (ValueError, RecursionError, TypeError):
        pass
    return save({"w": torch.zeros(1)}, {"hipt": text.encode("utf-8", "replace").decode()})


def beside_model(folder: Path) -> None:
    from hipt.pretraining.corpus_list import Member, write_corpus_list
    from hipt.store.schemas import METRICS
    from hipt.store.tables import write_table

    model = folder / "models" / "vit256"
    write_corpus_list(model.with_suffix(".corpus.csv"), [Member("a", "0f", 1, 256)])
    columns = {n: [1, 2] if n == "iteration" else [0.5, 0.25] for n in METRICS.names}
    write_table(model.with_suffix(".metrics.parquet"), columns, METRICS)


def zipped(text: str) -> Sequence[Seed]:
    made = []
    for way in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        held = io.BytesIO()
        with zipfile.ZipFile(held, "w", way) as archive:
            archive.writestr("labels.csv", text)
        made.append(held.getvalue())
    return [Seed(data, ((0, 40), (len(data) - 80, len(data)))) for data in made]


def odd_zips() -> Sequence[bytes]:
    from tests.fuzz.bombs import zip_bomb

    return [zip_bomb(3 << 30), zipped("a" * 200_000)[1].data]
