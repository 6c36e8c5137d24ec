"""Files as slide2vec writes them: tile_embeddings/ and tiles/ in one folder.

Keys and types are those of what slide2vec 7.1.4 and hs2p 6.1.0 wrote.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch


def write_slide2vec(  # noqa: PLR0913 (one call writes one slide)
    folder: Path,
    slide_id: str,
    features: npt.NDArray[Any],
    coords: npt.NDArray[np.int64],
    side_px: int,
    *,
    kind: Literal["pt", "npz"] = "pt",
    annotation: str = "",
    size_px: tuple[int, int] = (2048, 1536),
    mpp: float = 0.25,
) -> Path:
    """Write a slide's files; the folder of its features comes back.

    Args:
        folder: slide2vec's output folder.
        slide_id: its sample_id.
        features: (N, D); of none, as slide2vec does it, there are the two JSON files alone.
        coords: (N, 2) x, y in level-0 pixels.
        side_px: side of a tile, level-0 pixels.
        kind: `output_format`.
        annotation: a class of annotations, which has folders of its own.
        size_px: width and height of the slide, level-0 pixels.
        mpp: its level-0 resolution, um/px.
    """
    vectors, places = (folder / name / annotation for name in ("tile_embeddings", "tiles"))
    for made in (vectors, places):
        made.mkdir(parents=True, exist_ok=True)
    count = len(features)
    stated = {
        "sample_id": slide_id,
        "artifact_type": "tile_embeddings",
        "format": kind,
        "feature_dim": features.shape[1] if count else None,
        "num_tiles": count,
        "annotation": annotation or None,
        "encoder_name": "uni2",
        "encoder_level": "tile",
        "tile_size_lv0": side_px,
        "requested_spacing_um": 0.5,
    }
    (vectors / f"{slide_id}.meta.json").write_text(json.dumps(stated, indent=2, sort_keys=True))
    slide = {"dimensions": size_px, "base_spacing_um": mpp, "level_downsamples": [[1.0, 1.0]]}
    tiling = {"tile_size_lv0": side_px, "n_tiles": count, "requested_spacing_um": 0.5}
    placed = {"provenance": {"sample_id": slide_id}, "slide": slide, "tiling": tiling}
    (places / f"{slide_id}.coordinates.meta.json").write_text(json.dumps(placed, indent=2))
    if not count:
        return vectors
    if kind == "pt":
        torch.save(torch.from_numpy(features), vectors / f"{slide_id}.pt")
    else:
        index = np.arange(count, dtype=np.int64)
        np.savez_compressed(vectors / f"{slide_id}.npz", features=features, tile_index=index)
    np.savez_compressed(
        places / f"{slide_id}.coordinates.npz",
        tile_index=np.arange(count, dtype=np.int32),
        x=coords[:, 0].astype(np.int64),
        y=coords[:, 1].astype(np.int64),
        tissue_fractions=np.ones(count, np.float32),
    )
    return vectors
