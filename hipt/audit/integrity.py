"""Results read back: files that are damaged, and indices that vouch for what is not there.

Parquet pages, PNG chunks and the regions of patch embeddings carry checksums, so that one flipped
bit is found. JPEG, GeoJSON, CSV and safetensors have none: only what cannot be read is noticed, and
a manifest is needed for the rest.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tifffile

from hipt.audit.files import place_of, result_files
from hipt.cohort.batch_run import read_index
from hipt.cohort.ledger import read_ledger
from hipt.embedding.weights_files import read_weights
from hipt.errors import HiptError
from hipt.layout import LEDGER, Results
from hipt.progress import Progress
from hipt.registry import SHARDED
from hipt.store.images import refuse_damaged
from hipt.store.provenance import KEY
from hipt.store.schemas import (
    AGREEMENT,
    EXPORT,
    INDICES,
    MANIFEST,
    METRICS,
    PROBE,
    SLIDES,
    attention_schema,
    region_embeddings_schema,
)
from hipt.store.shard import read_provenance
from hipt.store.tables import PatchEmbeddings, read_table
from hipt.tasks import schemas
from hipt.tasks.fold_files import read_fold

_TABLES = {
    "slides.parquet": SLIDES,
    "probe.parquet": PROBE,
    "agreement.parquet": AGREEMENT,
    "folds.parquet": schemas.FOLDS,
    "leaks.parquet": schemas.LEAKS,
    "epochs.parquet": schemas.EPOCHS,
    "scores.parquet": schemas.SCORES,
    "differences.parquet": schemas.DIFFERENCES,
    "roc.parquet": schemas.ROC,
    "calibration.parquet": schemas.CALIBRATION,
    "survival.parquet": schemas.SURVIVAL,
    "errors.parquet": schemas.ERRORS,
    "published.parquet": schemas.PUBLISHED,
}

# what decoders of pictures, HDF5 and ZIP raise, too
_DAMAGE = OSError, ValueError, RuntimeError, KeyError, pa.ArrowException, zipfile.BadZipFile


def damaged_files(root: Path, threads: int) -> dict[str, str]:
    """What is wrong, by the file's path inside the results; nothing where all is in order.

    Raises:
        HiptError: if there is no such folder, or nothing in it.
    """
    names = result_files(root) if root.is_dir() else []
    if not names:
        raise HiptError(f"{root}: no folder of results")
    progress = Progress(len(names), "files")
    damaged: dict[str, str] = {}
    with ThreadPoolExecutor(threads) as pool:
        for name, text in zip(names, pool.map(lambda n: trouble(root, n), names), strict=True):
            if text:
                damaged[name] = text
            progress.add(1, name)
    for name, text in _unkept(root, names):
        damaged.setdefault(name, text)
    return dict(sorted(damaged.items()))


def trouble(root: Path, name: str) -> str:
    """What is wrong with one file: it cannot be read, or is not of this version; else nothing.

    Args:
        root: the results folder.
        name: the file's path inside it.
    """
    path = root / name
    try:
        _READERS.get(path.suffix, _through)(path, name)
    except HiptError as error:
        return str(error).removeprefix(f"{path}: ")
    except _DAMAGE as error:
        return f"cannot be read ({(str(error).splitlines() or [type(error).__name__])[0]})"
    return ""


def _parquet(path: Path, name: str) -> None:
    """A table against its schema."""
    step, kind, _ = place_of(name)
    if kind == "batch":
        read_index(path)
    elif step in ("tile", "embed_regions", "attend") and kind == "slide":
        read_table(path, _shard_schema(path, step))
        read_provenance(path)  # which each of them must have
    elif name.endswith((".scores.parquet", ".published.parquet")):
        read_table(path, schemas.SCORES if name.endswith(".scores.parquet") else schemas.PUBLISHED)
    elif name.endswith(".metrics.parquet"):
        read_table(path, METRICS)
    elif step == "export":
        read_table(path, EXPORT)
    elif path.name == "predictions.parquet" or step == "knn":
        read_table(path, _answers_schema(path, step))
    else:
        read_table(path, _TABLES.get(path.name))
    if KEY.encode() in (pq.read_schema(path).metadata or {}):
        read_provenance(path)


def _shard_schema(path: Path, step: str) -> pa.Schema:
    """The schema that a shard must have, by what it says of itself."""
    if step == "tile":
        return MANIFEST
    facts = read_provenance(path).facts
    if step == "embed_regions":
        return region_embeddings_schema(int(facts.get("dim", 1)))
    return attention_schema(int(facts.get("heads", 1)), list(facts.get("maps", ())))


def _answers_schema(path: Path, step: str) -> pa.Schema:
    """The schema of predictions, by how many outputs they have."""
    names = pq.read_schema(path).names
    outputs = sum(name.startswith(("p_", "hazard_")) for name in names)
    if step == "knn":
        return schemas.knn_schema(outputs)
    return schemas.predictions_schema("survival" if "risk" in names else "classification", outputs)


def _arrow(path: Path, name: str) -> None:  # noqa: ARG001
    """Patch embeddings and their checksums."""
    PatchEmbeddings(path).refuse_damaged()
    read_provenance(path)


def _png(path: Path, name: str) -> None:
    """A picture; of a mask its provenance too."""
    refuse_damaged(path)
    if place_of(name).step == "segment":
        read_provenance(path)


def _weights(path: Path, name: str) -> None:
    """A model, or a fold's fit."""
    if place_of(name).step == "fit":
        read_fold(path)
    else:
        read_weights(path)


def _json_text(path: Path, name: str) -> None:  # noqa: ARG001
    """GeoJSON, notes of exports."""
    json.loads(path.read_bytes())


def _csv(path: Path, name: str) -> None:
    """A ledger, or any text."""
    if name == LEDGER:
        read_ledger(path)
    else:
        path.read_text(encoding="utf-8")


def _tiff(path: Path, name: str) -> None:  # noqa: ARG001
    """Every tile of a pyramid."""
    with tifffile.TiffFile(path) as tif:
        for page in tif.pages:
            for _ in page.segments():
                pass


def _h5(path: Path, name: str) -> None:  # noqa: ARG001
    """Every data set of an exported file."""
    with h5py.File(path) as file:
        sets: list[h5py.Dataset] = []
        file.visititems(lambda _, item: sets.append(item) if hasattr(item, "chunks") else None)
        for dataset in sets:
            np.asarray(dataset)


def _torch_file(path: Path, name: str) -> None:  # noqa: ARG001
    """An exported tensor: a ZIP, which has checksums."""
    with zipfile.ZipFile(path) as archive:
        if (bad := archive.testzip()) is not None:
            raise ValueError(f"{bad} in it is damaged")


def _through(path: Path, name: str) -> None:  # noqa: ARG001
    """A file of any other kind, once to its end."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


_READERS: Mapping[str, Callable[[Path, str], None]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".png": _png,
    ".jpg": lambda path, _: refuse_damaged(path),
    ".tif": _tiff,
    ".safetensors": _weights,
    ".json": _json_text,
    ".geojson": _json_text,
    ".csv": _csv,
    ".h5": _h5,
    ".pt": _torch_file,
}


def _unkept(root: Path, names: list[str]) -> Iterator[tuple[str, str]]:
    """Shards that an index vouches for and that are not there, or are others."""
    results, there = Results(root), set(names)
    for name in names:
        step, kind, _ = place_of(name)
        if kind != "batch" or step not in INDICES or trouble(root, name):
            continue
        for row in read_index(root / name):
            shard = f"{step}/{row['slide_id']}{SHARDED[step]}"
            if row["status"] != "ok":
                continue
            if shard not in there:
                yield shard, f"is missing; {name} says it was made"
            elif _fingerprint(results.shard(step, row["slide_id"])) != row["fingerprint"]:
                yield shard, f"is not the one that {name} lists: its fingerprint differs"


def _fingerprint(shard: Path) -> str:
    """The fingerprint that a shard carries; nothing where it cannot be read."""
    try:
        return read_provenance(shard).fingerprint
    except (HiptError, OSError, ValueError, pa.ArrowException):
        return ""
