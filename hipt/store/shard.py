"""What a file carries about its making, whatever its kind: tables, pictures, fits of folds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError, safe_open

from hipt.errors import HiptError
from hipt.store.images import read_jpeg_comment, read_png_text
from hipt.store.provenance import KEY, Provenance, fingerprint
from hipt.store.tables import DAMAGED


def read_provenance(shard: Path) -> Provenance:
    """What a shard carries about its making.

    Raises:
        HiptError: if it is absent, damaged, or carries nothing.
    """
    try:
        text = _text(shard)
        if text is None:
            raise ValueError("it carries no provenance")
        return Provenance.from_json(text)
    except DAMAGED as error:
        reason = str(error).partition("\n")[0]
        raise HiptError(
            f"{shard}: is missing or damaged ({reason}); the slide table's column note says how to "
            "make it again"
        ) from None


def files_mark(paths: Iterable[Path]) -> str:
    """A digest of several files by name and content.

    Raises:
        HiptError: if one cannot be read.
    """
    return fingerprint(files=[[path.name, file_mark(path)] for path in sorted(paths)])


def file_mark(path: Path) -> str:
    """The fingerprint that a file carries; of one that carries none the sha256's head.

    Raises:
        HiptError: if it cannot be read.
    """
    try:
        return read_provenance(path).fingerprint
    except HiptError:
        pass
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:32]
    except OSError as error:
        raise HiptError(f"{path}: cannot be read ({error.strerror})") from None


def _text(shard: Path) -> str | bytes | None:
    """The JSON text."""
    if shard.suffix == ".png":
        return read_png_text(shard).get(KEY)  # decodes the pixels too: a cut file is found
    if shard.suffix == ".jpg":
        return read_jpeg_comment(shard)
    if shard.suffix == ".safetensors":
        return _of_tensors(shard)
    if shard.suffix == ".arrow":
        with pa.memory_map(str(shard)) as source:
            schema = pa.ipc.open_file(source).schema
    else:
        schema = pq.read_schema(shard)
    text: bytes | None = (schema.metadata or {}).get(KEY.encode())
    return text


def _of_tensors(path: Path) -> str | None:
    """The part of a safetensors file's metadata that is its provenance; None of a trained model."""
    try:
        with safe_open(path, framework="numpy") as file:
            facts = json.loads((file.metadata() or {}).get(KEY, "{}"))
    except (SafetensorError, RecursionError, TypeError) as error:
        raise ValueError(str(error)) from None
    names = {field.name for field in fields(Provenance)}
    if not isinstance(facts, dict) or not names <= facts.keys():
        return None
    return json.dumps({name: facts[name] for name in names})
