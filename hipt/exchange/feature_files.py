"""Where the features lie that another tool has made: one HDF5 file per slide.

Standard library only, since Snakemake asks while parsing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hipt.errors import HiptError


@dataclass(frozen=True)
class FeatureFiles:
    """TRIDENT's folder `features_<encoder>`, or CLAM's with `patches` beside `h5_files`."""

    folder: Path

    @classmethod
    def named(cls, text: str) -> FeatureFiles:
        """The files of the folder that the config names: with the files in it, or CLAM's above it.

        Raises:
            HiptError: if there is no such folder.
        """
        folder = Path(text)
        if not folder.is_dir():
            raise HiptError(
                f"embed.patches.features: {text}: no such folder; name TRIDENT's "
                "features_<encoder>, or CLAM's folder with h5_files in it"
            )
        inner = folder / "h5_files"
        return cls(inner if inner.is_dir() else folder)

    @property
    def encoder(self) -> str:
        """The name of what made the features, as far as folders tell, fit for a file name."""
        named = self.folder.parent if self.folder.name == "h5_files" else self.folder
        return re.sub(r"[^A-Za-z0-9._-]+", "_", named.resolve().name.removeprefix("features_"))

    def features(self, slide_id: str) -> Path:
        """A slide's features and coordinates."""
        return self.folder / f"{slide_id}.h5"

    def patches(self, slide_id: str) -> Path:
        """CLAM's coordinates, whose attributes tell the side of a patch."""
        return self.folder.parent / "patches" / f"{slide_id}.h5"

    def digests(self, slide_ids: Iterable[str]) -> dict[str, list[list[int] | None]]:
        """Sizes and times of the slides' files: what changes when their features do."""
        return {
            slide_id: [
                _size_and_time(self.features(slide_id)),
                _size_and_time(self.patches(slide_id)),
            ]
            for slide_id in slide_ids
        }


def _size_and_time(file: Path) -> list[int] | None:
    """A file's size and modification time; None where there is none."""
    try:
        stat = file.stat()
    except OSError:
        return None
    return [stat.st_size, stat.st_mtime_ns]
