"""The page's own files, which come with the package: read once, found by name."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

FOLDER = "page"

INDEX = "index.html"

KINDS = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "json": "application/json",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
"""What a browser is told that a file is, by the end of its name; others are not handed out."""


class PageFile(NamedTuple):
    """A file of the page."""

    content: bytes
    kind: str


def page_files() -> dict[str, PageFile]:
    """All files of the page by name; those of a folder in it as `folder/name`."""
    found: dict[str, PageFile] = {}
    folder = files("hipt.view") / FOLDER
    if folder.is_dir():
        _add(found, folder, "")
    return found


def _add(found: dict[str, PageFile], folder: Traversable, before: str) -> None:
    """Add the files of a folder."""
    for file in folder.iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if file.is_dir():
            _add(found, file, f"{before}{file.name}/")
        elif kind:
            found[f"{before}{file.name}"] = PageFile(file.read_bytes(), kind)
