"""Files of the repository that pages link to (../config/config.yaml) are pages of the site."""

from __future__ import annotations

import html
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from docutils import nodes
from pygments.lexers import find_lexer_class_for_filename
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx

FOLDER = "files"
"""Where they lie in the site."""

_linked: set[Path] = set()
"""Files and folders that some page links to."""


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    _linked.clear()
    app.connect("doctree-read", _redirect, priority=400)  # before Sphinx copies what is linked
    app.connect("html-collect-pages", _pages)
    return {"parallel_read_safe": False}  # they are collected in this process


def _redirect(app: Sphinx, tree: nodes.document) -> None:
    """Let links to files and folders of the repository lead to their pages."""
    here = app.env.current_document.docname
    for link in [*tree.findall(download_reference), *tree.findall(pending_xref)]:
        if link.get("refdomain"):
            continue
        path = (Path(app.srcdir) / here).parent.joinpath(link["reftarget"]).resolve()
        if not path.is_relative_to(app.srcdir) or not (path.is_dir() or _is_text(path)):
            continue  # Sphinx copies what is there, and says what is not
        if path.is_dir() and f"{_name(app, path)}/README" in app.env.found_docs:
            target = f"{_name(app, path)}/README"
        else:
            _linked.add(path)
            target = f"{FOLDER}/{_name(app, path)}"
        uri = app.builder.get_relative_uri(here, target)
        link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))


def _pages(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """A page per file or folder."""
    folders = {path for path in _linked if path.is_dir()}
    inside = {path for folder in folders for path in _texts(folder)}
    for path in sorted(_linked | inside):
        name = _name(app, path)
        body = _listing(path) if path.is_dir() else _source(app, path)
        context = {"title": name, "body": f"<h1>{html.escape(name)}</h1>{body}"}
        yield f"{FOLDER}/{name}", context, "page.html"


def _texts(folder: Path) -> Iterator[Path]:
    """The files of a folder that can be read."""
    return filter(_is_text, folder.rglob("*"))


def _is_text(path: Path) -> bool:
    """Whether there is a file of text."""
    return path.is_file() and b"\0" not in path.read_bytes()


def _listing(folder: Path) -> str:
    """The files of a folder."""
    names = sorted(path.relative_to(folder).as_posix() for path in _texts(folder))
    items = [f'<li><a href="{folder.name}/{name}.html">{name}</a></li>' for name in names]
    return f"<ul>{''.join(items)}</ul>"


def _source(app: Sphinx, path: Path) -> str:
    """A file with its colours."""
    lexer = find_lexer_class_for_filename(path.name)
    language = lexer.aliases[0] if lexer and lexer.aliases else "text"
    return app.builder.highlighter.highlight_block(path.read_text(encoding="utf-8"), language)


def _name(app: Sphinx, path: Path) -> str:
    """A path from the root of the repository."""
    return path.relative_to(app.srcdir).as_posix()
