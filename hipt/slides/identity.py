"""What tells a file from others by its content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from hipt.errors import SlideError

_MIB = 1 << 20
_SAMPLES, _SAMPLE_BYTES = 16, 1 << 16


def identity(path: Path) -> str:
    """A digest of a file's content that needs no full read: a moved or touched file keeps it.

    Over its size, first and last MiB, and 16 samples of 64 KiB between. A change in the middle
    that keeps the size can escape it; a cut or newly written file cannot. Of a format with several
    files (MIRAX, VMS, DICOM) it sees the named one.

    Raises:
        SlideError: `missing` or `unreadable`.
    """
    digest = hashlib.sha256()
    try:
        size = path.stat().st_size
        digest.update(str(size).encode())
        with path.open("rb") as file:
            digest.update(file.read(_MIB))
            for k in range(1, _SAMPLES + 1):
                file.seek(size * k // (_SAMPLES + 1))
                digest.update(file.read(_SAMPLE_BYTES))
            file.seek(max(0, size - _MIB))
            digest.update(file.read(_MIB))
    except FileNotFoundError:
        raise SlideError("missing", f"{path}: no such file") from None
    except OSError as error:
        raise SlideError("unreadable", f"{path}: {error.strerror or error}") from None
    return digest.hexdigest()[:32]
