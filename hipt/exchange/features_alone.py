"""A slide that is not there, as its imported features describe it: a blank picture of its size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hipt.cohort.sheet import SlideRow
from hipt.errors import SlideError
from hipt.exchange.feature_files import FeatureFiles
from hipt.exchange.foreign_features import features_identity, read_patches, read_slide
from hipt.exchange.foreign_values import ForeignPatches
from hipt.slides.identity import identity
from hipt.slides.slide import MOST_THUMBNAIL_PX, Slide, SlideInfo, Thumbnail, open_slide

NO_PIXELS = (
    "its file is not there: size and resolution are those that its imported features state, and "
    "pictures show no tissue"
)
"""The slide's note."""


@dataclass(frozen=True)
class FeaturesAlone:
    """What takes the place of a slide that is not there."""

    info: SlideInfo
    patches: ForeignPatches
    identity: str
    """Digest of the files that it is known from."""

    def thumbnail(self, reduction: float) -> Thumbnail:
        """The whole slide, blank; `reduction` level-0 pixels per pixel.

        Raises:
            SlideError: `unreadable`, if the features state a size of which no slide is.
        """
        width, height = (
            math.ceil(side / reduction) for side in (self.info.width_px, self.info.height_px)
        )
        if width * height > MOST_THUMBNAIL_PX:
            raise SlideError(
                "unreadable",
                f"its imported features say {self.info.width_px:,} x {self.info.height_px:,} px, a "
                f"thumbnail of which has {width:,} x {height:,}; see to its mpp",
            )
        return Thumbnail(np.full((height, width, 3), 255, np.uint8), reduction, 255)

    def mask(self, shape: tuple[int, int], scale: float) -> npt.NDArray[np.bool_]:
        """Where the patches lie.

        Args:
            shape: height and width of the mask.
            scale: level-0 pixels per pixel of it.
        """
        mask = np.zeros(shape, np.bool_)
        first = np.maximum(np.floor(self.patches.coords / scale), 0).astype(np.int64)
        last = np.ceil((self.patches.coords + self.patches.side_px) / scale).astype(np.int64)
        for (left, top), (right, bottom) in zip(first, np.maximum(last, 0), strict=True):
            mask[top:bottom, left:right] = True
        return mask


@contextmanager
def slide_or_features(row: SlideRow, features: str | None) -> Iterator[Slide | FeaturesAlone]:
    """The open slide; where it is not there, what its imported features say of it.

    Raises:
        SlideError: `missing` or `unreadable`, if neither can be read, or no size is stated.
    """
    try:
        slide = open_slide(row.path)
    except SlideError as error:
        if error.status != "missing" or features is None:
            raise
        yield _alone(row.slide_id, FeatureFiles.named(features), error.reason)
    else:
        with slide:
            yield slide


def slide_identity(slide: Slide | FeaturesAlone) -> str:
    """A digest of what a slide is read from."""
    return slide.identity if isinstance(slide, FeaturesAlone) else identity(slide.path)


def _alone(slide_id: str, files: FeatureFiles, reason: str) -> FeaturesAlone:
    """What the features say of a slide."""
    try:
        stated, patches = read_slide(files, slide_id), read_patches(files, slide_id)
    except SlideError as error:
        raise SlideError(error.status, f"{reason}; and {error.reason}") from None
    if stated is None:
        raise SlideError("missing", f"{reason}; and its imported features do not state its size")
    size = stated.width_px, stated.height_px
    info = SlideInfo(
        vendor="",
        objective=None,
        mpp=None if stated.mpp is None else (stated.mpp, stated.mpp),
        mpp_source="header",
        width_px=size[0],
        height_px=size[1],
        downsamples=(1.0,),
        bounds=(0, 0, *size),
        note=NO_PIXELS,
    )
    return FeaturesAlone(info, patches, features_identity(files, slide_id))
