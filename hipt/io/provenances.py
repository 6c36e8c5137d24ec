"""What a shard carries about its making, whatever its kind: Parquet, Arrow, PNG."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from hipt.errors import HiptError
from hipt.io.images import read_png_text
from hipt.io.shards import KEY, Provenance
from hipt.io.tables import DAMAGED


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


def _text(shard: Path) -> str | bytes | None:
    """The JSON text."""
    if shard.suffix == ".png":
        return read_png_text(shard).get(KEY)  # decodes the pixels too: a cut file is found
    if shard.suffix == ".arrow":
        with pa.memory_map(str(shard)) as source:
            schema = pa.ipc.open_file(source).schema
    else:
        schema = pq.read_schema(shard)
    found: bytes | None = (schema.metadata or {}).get(KEY.encode())
    return found
