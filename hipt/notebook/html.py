"""How notebooks show results: small pieces of HTML, every text in them escaped."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from html import escape

from hipt.pictures.drawing import RGB
from hipt.store.images import jpeg_bytes


def page(heading: str, *pieces: str) -> str:
    """Pieces of HTML under a heading, which is text."""
    return f"<div><b>{escape(heading)}</b>{''.join(pieces)}</div>"


def table(facts: Mapping[str, object]) -> str:
    """Names and values as a table; numbers are shortened, all else is text."""
    cells = (
        f'<tr><th style="text-align:left">{escape(name)}</th>'
        f'<td style="text-align:left">{escape(_text(value))}</td></tr>'
        for name, value in facts.items()
    )
    return f"<table>{''.join(cells)}</table>"


def picture(rgb: RGB, text: str) -> str:
    """A picture inside the page, and a text for those who do not see it."""
    data = base64.b64encode(jpeg_bytes(rgb)).decode()
    return f'<p><img src="data:image/jpeg;base64,{data}" alt="{escape(text)}"></p>'


def _text(value: object) -> str:
    """A value as people read it."""
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
