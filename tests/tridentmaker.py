"""Files as TRIDENT writes them: a job directory with features and coordinates of patches."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

JOB = "20x_256px_0px_overlap"
"""Of a run at 20x with patches of 256 px."""


def write_trident(
    features_dir: Path,
    slide_id: str,
    features: npt.NDArray[np.floating],
    coords: npt.NDArray[np.int64],
    *,
    size_px: tuple[int, int],
) -> None:
    """Write a slide's features.

    Args:
        features_dir: `<job directory>/<JOB>/features_<encoder>`.
        slide_id: the slide.
        features: (N, D).
        coords: (N, 2) x, y of patches of 256 px, in level-0 pixels of 0.5 um.
        size_px: width and height of the slide, level-0 pixels.
    """
    features_dir.mkdir(parents=True, exist_ok=True)
    with h5py.File(features_dir / f"{slide_id}.h5", "w") as file:
        file["features"], file["coords"] = features.astype(np.float32), coords
        file["features"].attrs.update({"name": slide_id, "encoder": "uni_v2"})
        file["coords"].attrs.update(
            {
                **{"patch_size": 256, "patch_size_level0": 256, "level0_magnification": 20},
                **{"target_magnification": 20, "overlap": 0, "name": slide_id},
                **{"level0_width": size_px[0], "level0_height": size_px[1]},
            }
        )
