"""Features that another tool has made, read as they lie; what is wrong ends the slide."""

from __future__ import annotations

from hipt.errors import SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_values import ForeignHeader, ForeignPatches, ForeignSlide
from hipt.exchange.hdf5_features import hdf5_header, hdf5_patches, hdf5_slide
from hipt.exchange.slide2vec_features import (
    slide2vec_header,
    slide2vec_patches,
    slide2vec_slide,
)
from hipt.slides.identity import identity


def features_identity(files: FeatureFiles, slide_id: str) -> str:
    """A digest of a slide's files that need no full read.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    first, *beside = files.deciding(slide_id)
    try:
        return identity(first) + "".join(identity(path) for path in beside if path.exists())
    except SlideError as error:
        raise SlideError(error.status, f"its imported features: {error.reason}") from None


def read_patches(files: FeatureFiles, slide_id: str) -> ForeignPatches:
    """A slide's coordinates, and the side of its patches.

    Raises:
        SlideError: `missing` or `unreadable`, naming the file and what it lacks.
    """
    return (slide2vec_patches if files.by_slide2vec else hdf5_patches)(files, slide_id)


def read_header(files: FeatureFiles, slide_id: str) -> ForeignHeader:
    """What a slide's files promise, without their values.

    Raises:
        SlideError: `missing` or `unreadable`, as reading the values would.
    """
    return (slide2vec_header if files.by_slide2vec else hdf5_header)(files, slide_id)


def read_slide(files: FeatureFiles, slide_id: str) -> ForeignSlide | None:
    """What a slide's files say of its size and resolution; None where they do not.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    return (slide2vec_slide if files.by_slide2vec else hdf5_slide)(files, slide_id)


def features_width(files: FeatureFiles) -> int | None:
    """Width D of the vectors, from the first slide that tells; None without any."""
    for slide_id in files.slide_ids():
        try:
            return read_header(files, slide_id).dim or None
        except SlideError:
            continue
    return None


def refuse_another_size(side_px: int, slide_mpp: float, patch_um: float, tolerance: float) -> None:
    """Refuse imported patches of another size than the wanted one.

    Args:
        side_px: side of a patch, level-0 pixels.
        slide_mpp: level-0 resolution of the slide, um/px.
        patch_um: the wanted side.
        tolerance: how far the side may be from it, as a share.

    Raises:
        SlideError: `unreadable`, with both sizes.
    """
    side_um = side_px * slide_mpp
    if abs(side_um / patch_um - 1) > tolerance:
        raise SlideError(
            "unreadable",
            f"its imported features: a patch has a side of {side_px} px, {side_um:g} um; "
            f"wanted are {patch_um:g} um (tile.patch_px at mpp; slides.mpp_tolerance is "
            f"{tolerance:.0%}); make them again from patches of that side",
        )


def refuse_no_patch(patches: int) -> None:
    """Refuse features of nothing.

    Raises:
        SlideError: `no_tissue`.
    """
    if not patches:
        raise SlideError("no_tissue", "its imported features hold no patch")
