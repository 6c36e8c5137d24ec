"""What a download may leave in place of a weights file, known by its bytes.

Standard library only, since Snakemake asks for it while parsing.
"""

from __future__ import annotations

import json
import string
import zipfile
from pathlib import Path

from hipt.errors import HiptError

ZIP = b"PK\x03\x04"
OF_TORCH = (ZIP, b"\x80")
"""First bytes of what torch saves: a zip archive, before 2020 a pickle."""

_LFS = b"version https://git-lfs.github.com/spec/"
_HEAD = 512
_SHOWN = 60
_PRINTABLE = frozenset(string.printable.encode())
_LONGEST_HEADER = 100_000_000
"""Bytes; safetensors' own limit."""

_GATED = ("restricted", "gated", "log in", "login", "password", "authenticat", "unauthori")
"""Words in what a server sends in place of a file that has to be asked for."""


def refuse_no_weights(path: Path) -> None:
    """Refuse what cannot be a whole weights file.

    Raises:
        HiptError: if the file is absent, a folder, empty, a git-lfs pointer, a page or message of
            a server, or cut off.
    """
    if path.is_dir():
        raise HiptError(f"{path}: is a folder; name the weights file in it")
    if not path.is_file():
        raise HiptError(f"{path}: no such weights file")
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head:
        raise HiptError(f"{path}: is empty; fetch the weights again")
    if head.startswith(_LFS):
        raise HiptError(
            f"{path}: is a git-lfs pointer, not the weights; run `git lfs pull` where it came from"
        )
    if _PRINTABLE.issuperset(head) or head.lstrip().startswith(b"<"):
        raise HiptError(f"{path}: {_of_text(head.decode(errors='replace').strip())}")
    missing = _missing_of_safetensors(path, head) if head[8:9] == b"{" else ""
    if head.startswith(ZIP) and not zipfile.is_zipfile(path):
        missing = "the list at the end of its archive is missing"
    if missing:
        raise HiptError(f"{path}: is cut off ({missing}); fetch the weights again")


def _of_text(text: str) -> str:
    """What a file of text is, and what to do."""
    first = (text.splitlines() or [""])[0]
    shown = first if len(first) <= _SHOWN else f"{first[:_SHOWN]}..."
    kind = "a web page" if text.startswith("<") else "text"
    message = f"is {kind}, not the weights ('{shown}')"
    if text.startswith("<") or any(word in text.lower() for word in _GATED):
        return (
            f"{message}: the download was not allowed; accept the licence on the model's page, "
            "then fetch the file logged in"
        )
    return f"{message}; name the weights file itself"


def _missing_of_safetensors(path: Path, head: bytes) -> str:
    """How much of a safetensors file is missing; empty if nothing is, or its header is damaged.

    Source: the format: 8 bytes of length, a JSON header of that length with every tensor's place
    behind it, then the tensors.
    """
    size, length = path.stat().st_size, int.from_bytes(head[:8], "little")
    if length > _LONGEST_HEADER:
        return ""
    whole = 8 + length
    if whole <= size:
        with path.open("rb") as file:
            file.seek(8)
            try:
                header = json.loads(file.read(length))
                whole += max(
                    (int(t["data_offsets"][1]) for k, t in header.items() if k != "__metadata__"),
                    default=0,
                )
            except (AttributeError, LookupError, RecursionError, TypeError, ValueError):
                return ""  # damaged, which whoever reads it says
    return f"{size:,} of {whole:,} bytes" if size < whole else ""
