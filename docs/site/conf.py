"""Sphinx's settings: `make docs-site`. Pages lie where they lie, and are read from the root."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from pygments.lexers.special import TextLexer  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from hipt import __version__  # noqa: E402

project = "hipt"
author = "the hipt authors"
release = __version__
html_title = f"hipt {release}"

extensions = ["myst_parser", "docs.site.navigation", "docs.site.linked_files"]
root_doc = "docs/README"
include_patterns = [
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "config/README.md", "benchmarks/README.md"),
    "docs/**.md",
]
exclude_patterns = [
    path.name
    for path in ROOT.iterdir()
    if path.is_dir() and path.name not in ("docs", "config", "benchmarks")
]

myst_enable_extensions = ["strikethrough"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

html_theme = "furo"
html_static_path = ["site.css"]
html_css_files = ["site.css"]
html_copy_source = False
html_use_index = False
html_show_search_summary = False  # would ask for pages, which a browser forbids for files
html_show_sphinx = False
html_show_copyright = False
html_additional_pages = {"index": "first.html"}
templates_path = ["templates"]
pygments_style = "default"
pygments_dark_style = "github-dark"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.add_lexer("csv", TextLexer)  # Pygments has none
