"""The navigation is what an index page lists: each `- [Label](page.md)`, under its heading."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

INDICES = ("docs/README", "docs/decisions/README")

_PART = re.compile(r"^## (?P<heading>.+)$|^- \[(?P<label>[^]]+)\]\((?P<page>[^)]+)\.md\)", re.M)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", _with_navigation)
    return {"parallel_read_safe": True}


def _with_navigation(_: Sphinx, page: str, source: list[str]) -> None:
    """Add what the site's sidebar needs to an index page; on the page it is not seen."""
    if page in INDICES:
        source[0] += "\n".join(["", *_trees(source[0])])


def _trees(text: str) -> Iterator[str]:
    """A hidden toctree per heading that has a list."""
    heading, entries = "", list[str]()
    for part in [*_PART.finditer(text), None]:
        if part and part["page"]:
            entries.append(f"{part['label']} <{part['page']}>")
            continue
        if entries:
            caption = [f":caption: {heading}"] if heading else []
            yield "\n".join(["```{toctree}", ":hidden:", *caption, "", *entries, "```", ""])
        heading, entries = part["heading"] if part else "", []
