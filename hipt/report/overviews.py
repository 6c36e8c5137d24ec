"""Overviews of slides that earlier steps drew, made small for a page."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hipt.errors import HiptError
from hipt.report.page import data_uri
from hipt.store.images import read_rgb

log = logging.getLogger(__name__)


def overview(path: Path, longest_px: int) -> dict[str, Any] | None:
    """A picture as an <img> shows it: data, width and height, and the large one's file.

    Args:
        path: `<results>/<step>/<slide>.jpg`.
        longest_px: of the small picture's sides.

    Returns:
        None if it cannot be read; the log says why.
    """
    try:
        rgb = read_rgb(path)
    except HiptError as error:
        log.warning("%s: left out of the page", error)
        return None
    height, width = rgb.shape[:2]
    shown = {"data": data_uri(rgb, longest_px), "width": width, "height": height}
    return shown | {"file": quote(f"{path.parent.name}/{path.name}")}
