"""Pictures of slides, made small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hipt.layout import Results
from hipt.report.overviews import overview
from hipt.store.images import write_jpeg


def test_a_picture_with_the_way_to_the_large_one(tmp_path: Path):
    path = tmp_path / "tile" / "a b.jpg"
    path.parent.mkdir()
    write_jpeg(path, np.full((60, 80, 3), 200, np.uint8))
    shown = overview(path, 40, Results(tmp_path))
    assert shown
    assert (shown["width"], shown["height"], shown["file"]) == (80, 60, "tile/a%20b.jpg")
    assert shown["data"].startswith("data:image/jpeg;base64,")


def test_a_damaged_picture_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    assert overview(tmp_path / "a.jpg", 40, Results(tmp_path)) is None
    assert "a.jpg" in caplog.text
    assert "left out of the page" in caplog.text
