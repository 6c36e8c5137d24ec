"""Pages that stand alone: one HTML file with its style, script, data and pictures in it.

Every text is escaped by Jinja, data for the script are JSON that cannot end its element, and the
page's own policy lets it load nothing and run no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from hipt.pictures.drawing import RGB, shrunk
from hipt.store.images import jpeg_bytes
from hipt.store.whole import whole

PICTURE_QUALITY = 72
"""Of JPEGs inside a page: outlines stay sharp, and 200 pictures take a few MB."""

NOTHING = "\u2013"
"""Stands where a number is not known."""

_HERE = Path(__file__).parent


def write_page(path: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Write a page with a script, whole or not at all.

    Args:
        path: the page.
        name: of template and script beside this module: `<name>.html.j2`, `.js`.
        facts: what the template shows.
    """
    script = _HERE.joinpath(f"{name}.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    write_plain(path, name, {**facts, "script": Markup(script), "script_sha256": digest})


def write_plain(path: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Write a page of a template beside this module, in the report's style, whole or not at all."""
    style = Markup(_HERE.joinpath("report.css").read_text("utf-8"))
    template = _environment().get_template(f"{name}.html.j2")
    with whole(path) as part:
        part.write_text(template.render(facts, style=style), encoding="utf-8")


def data_uri(rgb: RGB, longest_px: int) -> str:
    """A picture, made small, as text that an <img> shows."""
    jpeg = jpeg_bytes(shrunk(rgb, longest_px), PICTURE_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"


def _or_dash(say: Callable[[float], str]) -> Callable[[float | None], str]:
    """Say a number, or a dash where there is none."""

    @wraps(say)
    def text(value: float | None) -> str:
        return NOTHING if value is None or math.isnan(value) else say(value)

    return text


@_or_dash
def count(value: float) -> str:
    """A whole number: `10,678`."""
    return f"{value:,.0f}"


@_or_dash
def number(value: float) -> str:
    """A number to three digits, but never fewer than its whole part has: `0.25`, `10,678`."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:.3g}"


@_or_dash
def share(value: float) -> str:
    """A part of one in per cent; what is not quite nothing, or not quite all, stays so."""
    percent = f"{100 * value:.1f}"
    if percent == "0.0" and value > 0:
        return "< 0.1 %"
    if percent == "100.0" and value < 1:
        return "> 99.9 %"
    return f"{percent.removesuffix('.0')} %"


@_or_dash
def duration(seconds: float) -> str:
    """Seconds as people say them: `0.8 s`, `41 s`, `4 min 10 s`, `2 h 05 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


@_or_dash
def memory(mib: float) -> str:
    """Mebibytes: `178 MiB`, `3.4 GiB`."""
    return f"{mib:.0f} MiB" if mib < 1000 else f"{mib / 1024:.1f} GiB"


def _environment() -> jinja2.Environment:
    """Templates that escape every text and refuse a name that they do not know."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for say in (count, number, share, duration, memory):
        environment.filters[say.__name__] = say
    environment.policies["json.dumps_kwargs"] = {
        "allow_nan": False,
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    return environment
