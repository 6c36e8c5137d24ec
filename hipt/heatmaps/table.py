"""A slide's heatmaps on disk: results/attend/<slide>.parquet, and the files beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from hipt.errors import HiptError
from hipt.store.schemas import attention_schema
from hipt.store.shard import read_provenance
from hipt.store.tables import list_size, matrix, read_table, refuse_other_schema

COLUMNS = ("slide_id", "region", "patch", "x", "y", "read_px", "tissue")
"""What a slide's table says of each patch, before `heads` and the maps."""


def read_maps(shard: Path) -> dict[str, npt.NDArray[np.float32]]:
    """(N,) every map in a slide's table, those of single heads too.

    Raises:
        HiptError: if the table is absent or damaged.
    """
    table = read_table(shard)
    names = table.column_names[len(COLUMNS) + 1 :]
    count = list_size(table.schema, "heads")
    refuse_other_schema(shard, table.schema, attention_schema(count, names))
    heads = matrix(table["heads"])
    maps = {name: table[name].to_numpy() for name in names}
    return maps | {f"head {k}": heads[:, k] for k in range(heads.shape[1])}


def companions(shard: Path, facts: Mapping[str, Any]) -> Iterator[Path]:
    """The files beside a slide's table: pictures first, in the order of the maps.

    Args:
        shard: the table.
        facts: `maps`, and `closer`: the regions that were looked at closer.
    """
    folder = shard.with_suffix("")
    yield from (folder / f"{name}.png" for name in facts["maps"])
    yield folder / "heads.png"
    yield from (folder / f"region_{region}.png" for region in facts["closer"])
    yield from (folder / f"{name}.tif" for name in facts["maps"])
    yield folder / "qupath.geojson"


def listed(shard: Path) -> list[Path]:
    """The files beside a slide's table, as the table lists them; none where there is no table."""
    try:
        named = list(companions(shard, read_provenance(shard).facts))
    except (HiptError, KeyError, TypeError):
        return []
    return [path for path in named if path.parent == shard.with_suffix("")]
