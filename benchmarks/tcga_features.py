"""Real region embeddings of TCGA as one Parquet of features, for the tasks in config/tcga.

    python benchmarks/tcga_features.py ../shared/tcga tcga

The quantised vectors are turned back (value = q * step + offset); slides that occur in several
files are taken once.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from hipt.store.tables import vectors

FILES = ("brca", "kidney", "lung", "survival_rest")


def main() -> None:
    """Write <out>/features.parquet and <out>/slides.csv."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    scale = pl.read_csv(args.source / "region_quant.csv").sort("dim")
    step, offset = (scale[name].to_numpy().astype(np.float32) for name in ("step", "offset"))
    seen: set[str] = set()
    ids: list[str] = []
    parts: list[np.ndarray] = []
    for name in FILES:
        for row in pl.read_parquet(args.source / f"region_embeddings_{name}.parquet").iter_rows(
            named=True
        ):
            if row["slide_id"] in seen:
                continue
            seen.add(row["slide_id"])
            values = np.frombuffer(row["q"], np.int8).reshape(row["n_regions"], -1)
            parts.append(values.astype(np.float32) * step + offset)
            ids += [row["slide_id"]] * row["n_regions"]
    table = pa.table({"slide_id": ids, "embedding": vectors(np.concatenate(parts))})
    pq.write_table(table, args.out / "features.parquet", compression="zstd")
    sheet = pl.DataFrame({"slide_id": sorted(seen)}).with_columns(
        path=pl.col("slide_id") + ".svs", site=pl.col("slide_id").str.slice(5, 2)
    )
    sheet.write_csv(args.out / "slides.csv")
    print(f"{args.out / 'features.parquet'}: {len(seen)} slides, {len(ids)} regions")


if __name__ == "__main__":
    main()
