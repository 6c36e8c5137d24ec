"""A slide as the writers of other tools' files need it, and its vectors from the shards."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import known_as
from hipt.exchange.feature_files import FeatureFiles
from hipt.store.tables import PatchEmbeddings, matrix, read_table


@dataclass(frozen=True)
class Scale:
    """What is the same for all slides of an export."""

    mpp: float
    """Resolution at which patches were embedded, um/px."""
    patch_px: int
    """Side of a patch at that resolution."""
    encoder: str
    """The patch encoder's name, fit for a file name."""
    dim: int
    """Width D of a patch's vector."""
    min_tissue: float
    """Patches with a smaller tissue share are left out."""

    @property
    def magnification(self) -> str:
        """The resolution as pathologists say it: 0.5 um/px is `20`."""
        return f"{10 / self.mpp:.3g}"


@dataclass(frozen=True)
class ExportedSlide:
    """One slide: its geometry, and where its shards are."""

    slide_id: str
    mpp: float
    """Level-0 resolution, um/px."""
    width_px: int
    height_px: int
    bounds: tuple[int, ...]
    """x, y, width, height of the scanned part, level-0 pixels."""
    read_px: int
    """Side of a patch, level-0 pixels."""
    level: int
    """The level that patches were read from."""
    downsample: float
    """Level-0 pixels per pixel of that level."""
    fingerprint: str
    """Of everything that decides the exported files."""
    patches: Path | None
    """Shard of patch embeddings; None where no tissue was found."""
    regions: Path
    contours: Path


@dataclass(frozen=True)
class Bag:
    """A slide's patches as a list."""

    coords: npt.NDArray[np.int64]  # (N, 2) x, y of corners, level-0 pixels
    features: npt.NDArray[np.float16]  # (N, D)


def tissue_bag(slide: ExportedSlide, scale: Scale) -> Bag:
    """The readable patches with enough tissue, region by region; none without a shard.

    Patches that have the mean of others in place of a vector of their own are left out, whatever
    their tissue: a list of patches says nowhere which they are.

    Raises:
        HiptError: if the shard is absent or damaged.
    """
    coords = [np.zeros((0, 2), np.int64)]
    features = [np.zeros((0, scale.dim), np.float16)]
    if slide.patches is not None:
        shard = PatchEmbeddings(slide.patches)
        for index in range(len(shard)):
            region = shard.region(index)
            readable, computed = (region[n].to_numpy(False) for n in ("readable", "computed"))
            chosen = readable & computed & (region["tissue"].to_numpy() >= scale.min_tissue)
            coords.append(np.stack([region[name].to_numpy() for name in "xy"], 1)[chosen])
            features.append(shard.grid(index)[chosen])
    return Bag(np.concatenate(coords), np.concatenate(features))


def region_grids(slide: ExportedSlide) -> npt.NDArray[np.float32]:
    """(M, P, D) vectors of all patches of all regions, row-major inside a region.

    Raises:
        HiptError: if the shard is absent or damaged.
    """
    assert slide.patches is not None
    shard = PatchEmbeddings(slide.patches)
    return np.stack([shard.grid(index) for index in range(len(shard))]).astype(np.float32)


def region_vectors(slide: ExportedSlide) -> npt.NDArray[np.float32]:
    """(M, D) vectors of the regions.

    Raises:
        HiptError: if the shard is absent or damaged.
    """
    return np.array(matrix(read_table(slide.regions)["embedding"]), np.float32)


def encoder_name(cfg: PatchEncoderConfig, tool: str, dim: int) -> str:
    """The patch encoder's name, fit for a file name: the tool's own for vectors that it makes too.

    Args:
        cfg: the patch encoder, or whose features were imported.
        tool: whose files are written, by the format's name.
        dim: width of the vectors; of another width than the published encoder's they are others.
    """
    if cfg.features is not None:
        name = FeatureFiles.named(cfg.features).encoder
        preset = known_as(name)
    else:
        name, preset = cfg.encoder, cfg.preset if cfg.as_published else None
    if preset and preset.width == dim:
        name = (preset.trident if tool == "trident" else "") or preset.name
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name)
