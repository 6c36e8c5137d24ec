"""What tells a file from others by its content."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from hipt.errors import SlideError
from hipt.slides.identity import identity


def test_identity_is_of_the_content(tiny_slide: Path, tmp_path: Path):
    copy = tmp_path / "moved and touched.svs"
    shutil.copyfile(tiny_slide, copy)
    os.utime(copy, (1, 1))
    assert identity(copy) == identity(tiny_slide)
    content = bytearray(copy.read_bytes())
    content[-1] ^= 1
    copy.write_bytes(content)
    assert identity(copy) != identity(tiny_slide)
    copy.write_bytes(tiny_slide.read_bytes()[:-1])
    assert identity(copy) != identity(tiny_slide)


def test_identity_sees_samples_of_the_middle(tmp_path: Path):
    path = tmp_path / "large"
    path.write_bytes(bytes(20 << 20))
    before = identity(path)
    with path.open("r+b") as file:  # a failed copy: everything after 5 MiB but the last
        file.seek(5 << 20)
        file.write(b"\x01" * (14 << 20))
    assert identity(path) != before
    with pytest.raises(SlideError, match="no such file"):
        identity(tmp_path / "none")
