"""Where the features lie that another tool has made: files per slide.

Standard library only, since Snakemake asks while parsing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hipt.cohort.sheet import size_and_time
from hipt.errors import HiptError

_CLAM, _SLIDE2VEC = "h5_files", "tile_embeddings"
"""Folders inside the one that a tool was told to write to."""

_STATED = ".meta.json"
"""What slide2vec says of a file, beside it."""


@dataclass(frozen=True)
class FeatureFiles:
    """A tool's folder of features.

    TRIDENT's `features_<encoder>`; CLAM's `h5_files`, with `patches` beside it; or slide2vec's
    `tile_embeddings`, with `tiles` beside it, or the folder of a class of annotations in both.
    """

    folder: Path

    @classmethod
    def named(cls, text: str) -> FeatureFiles:
        """The files of the folder that the config names: with the files in it, or the one above it.

        Raises:
            HiptError: if there is no such folder, or it holds slide2vec's regions.
        """
        folder = Path(text)
        if not folder.is_dir():
            raise HiptError(
                f"embed.patches.features: {text}: no such folder; name TRIDENT's "
                "features_<encoder>, CLAM's folder with h5_files in it, or slide2vec's with "
                "tile_embeddings in it"
            )
        for inner in (folder / _CLAM, folder / _SLIDE2VEC):
            if inner.is_dir():
                return cls(inner)
        regions = "hierarchical_embeddings"
        if folder.absolute().name == regions or (folder / regions).is_dir():
            raise HiptError(
                f"embed.patches.features: {text}: slide2vec's {regions} are not read; run it "
                f"without region_tile_multiple, which writes {_SLIDE2VEC}"
            )
        return cls(folder)

    @property
    def by_slide2vec(self) -> bool:
        """Whether slide2vec made them."""
        return _SLIDE2VEC in self._last_names

    @property
    def encoder(self) -> str:
        """The name of what made the features, as far as files and folders tell, for a file name."""
        named = self.folder.parent if self.folder.name == _CLAM else self.folder
        name = named.resolve().name.removeprefix("features_")
        if self.by_slide2vec:
            first = min(self.folder.glob(f"*{_STATED}"), default=None)
            name = (_stated_encoder(first) if first else "") or name
        return re.sub(r"[^A-Za-z0-9._-]+", "_", name)

    def features(self, slide_id: str) -> Path:
        """A slide's features and coordinates; of slide2vec what it says of its features."""
        return self.folder / f"{slide_id}{self._ending}"

    def clam_patches(self, slide_id: str) -> Path:
        """CLAM's coordinates, whose attributes tell the side of a patch."""
        return self.folder.parent / "patches" / f"{slide_id}.h5"

    def tiling(self, slide_id: str) -> Path:
        """What slide2vec says of its coordinates, and of the slide."""
        return self.coordinates(slide_id).with_name(f"{slide_id}.coordinates{_STATED}")

    def coordinates(self, slide_id: str) -> Path:
        """slide2vec's coordinates, in the folder `tiles` beside its features."""
        above = self.folder.absolute()
        parts = ["tiles" if part == _SLIDE2VEC else part for part in self._last_names]
        return above.parents[len(parts) - 1].joinpath(*parts, f"{slide_id}.coordinates.npz")

    def deciding(self, slide_id: str) -> list[Path]:
        """All files that decide a slide's vectors and their places; the first has to be there."""
        first = self.features(slide_id)
        if not self.by_slide2vec:
            return [first, self.clam_patches(slide_id)]
        vectors = [first.with_name(f"{slide_id}.{kind}") for kind in ("pt", "npz")]
        return [first, *vectors, self.coordinates(slide_id), self.tiling(slide_id)]

    def slide_ids(self) -> list[str]:
        """The slides that have a file, in order."""
        ending = self._ending
        return sorted(path.name.removesuffix(ending) for path in self.folder.glob(f"*{ending}"))

    def digests(self, slide_ids: Iterable[str]) -> dict[str, list[tuple[int, int] | None]]:
        """Sizes and times of the slides' files: what changes when their features do."""
        return {
            slide_id: [size_and_time(path) for path in self.deciding(slide_id)]
            for slide_id in slide_ids
        }

    @property
    def _ending(self) -> str:
        """Of the file that a slide has to have."""
        return _STATED if self.by_slide2vec else ".h5"

    @property
    def _last_names(self) -> list[str]:
        """The folder's name; after `tile_embeddings`, if it is the folder of a class in it."""
        names = list(self.folder.absolute().parts[-2:])
        return names if names[0] == _SLIDE2VEC else names[-1:]


def _stated_encoder(path: Path) -> str:
    """The encoder that slide2vec names in a file; empty where it cannot be read."""
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["encoder_name"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ""
