"""A slide's file of patch embeddings from vectors that another tool has made."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import read_patches
from hipt.exchange.foreign_vectors import read_features
from hipt.geometry.imported_grid import rows_at
from hipt.store.provenance import Provenance
from hipt.store.schemas import MANIFEST, patch_embeddings_schema
from hipt.store.tables import patch_embeddings_writer, read_table, vectors


def write_imported(
    files: FeatureFiles, manifest: Path, shard: Path, provenance: Provenance, per_region: int
) -> None:
    """Write the imported vectors at the manifest's places, one record batch per region.

    Where no patch was imported the vector is 0, `readable` and `computed` are false: nobody looked.

    Raises:
        SlideError: if the features cannot be read.
    """
    table = read_table(manifest, MANIFEST).combine_chunks()
    slide_id = table["slide_id"][0].as_py()
    features = read_features(files, slide_id)
    wanted = np.stack([table[name].to_numpy() for name in "xy"], 1)
    rows = rows_at(read_patches(files, slide_id).coords, wanted)
    there = rows >= 0
    embedding = np.zeros((len(rows), features.shape[1]), np.float16)
    embedding[there] = features[rows[there]]
    schema = patch_embeddings_schema(features.shape[1])
    with patch_embeddings_writer(shard, schema, provenance) as writer:
        for start in range(0, len(rows), per_region):
            part = slice(start, start + per_region)
            known = table.slice(start, per_region).to_batches()[0]
            known_here = pa.array(there[part])
            made = {"readable": known_here, "computed": known_here}
            made |= {"embedding": vectors(embedding[part])}
            columns = [
                made.get(name, known[name] if name in known.schema.names else None)
                for name in schema.names
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
