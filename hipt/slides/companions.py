"""Slides whose pixels lie beside the file that names them: MIRAX and Hamamatsu's VMS and VMU.

The named file is a stub: exports that were made anonymous have it alike for all slides.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from hipt.errors import SlideError
from hipt.slides.identity import identity

_NAMED = re.compile(rb"^(?:ImageFile|MapFile|OptimisationFile)[^=\r\n]*=([^\r\n]+)", re.M)
_MOST_FILES, _MOST_BYTES = 64, 1 << 20


def companions(path: Path) -> list[Path]:
    """The files with the pixels of a slide, as far as they say which slide it is."""
    match path.suffix.lower():
        case ".mrxs":
            folder = path.with_suffix("")
            data = sorted(folder.glob("Data*.dat"))
            return [*folder.glob("Slidedat.ini"), *data[:1], *data[1:][-1:]]
        case ".vms" | ".vmu":
            with path.open("rb") as file:
                names = _NAMED.findall(file.read(_MOST_BYTES))[:_MOST_FILES]
            plain = (name.decode("utf-8", "replace").strip() for name in names)
            return [path.parent / Path(name.replace("\\", "/")).name for name in plain if name]
    return []


def with_companions(path: Path, own: str) -> str:
    """A digest of a slide's content, the files beside it included.

    Args:
        path: the file that is named.
        own: its digest; that of the slide, where nothing lies beside it.

    Returns:
        The digest; empty where a file cannot be read, so that nobody knows.
    """
    try:
        digests = [f"{file.name} {identity(file)}" for file in companions(path)]
    except (OSError, ValueError, SlideError):
        return ""
    if not digests:
        return own
    return hashlib.sha256("\n".join([own, *digests]).encode()).hexdigest()[:32]
