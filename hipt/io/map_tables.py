"""A slide's table of heatmaps: results/attend/<slide>.parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from hipt.io.tables import matrix, read_table

COLUMNS = ("slide_id", "region", "patch", "x", "y", "read_px", "tissue")
"""What a slide's table says of each patch, before `heads` and the maps."""


def read_maps(shard: Path) -> dict[str, npt.NDArray[np.float32]]:
    """(N,) every map in a slide's table, those of single heads too.

    Raises:
        HiptError: if the table is absent or damaged.
    """
    table = read_table(shard)
    heads = matrix(table["heads"])
    maps = {name: table[name].to_numpy() for name in table.column_names[len(COLUMNS) + 1 :]}
    return maps | {f"head {k}": heads[:, k] for k in range(heads.shape[1])}
