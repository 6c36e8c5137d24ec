"""The list of slides that get heatmaps."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.errors import HiptError
from hipt.heatmaps.chosen import read_mapped, write_mapped


def test_there_and_back(tmp_path: Path):
    path = tmp_path / "mapped.csv"
    write_mapped(path, ["b c", "a,b", "0012"])
    assert path.read_bytes() == b'slide_id\nb c\n"a,b"\n0012\n'
    assert read_mapped(path) == {"0012", "a,b", "b c"}
    before = path.stat()
    write_mapped(path, ["b c", "a,b", "0012"])
    assert path.stat().st_ino == before.st_ino
    write_mapped(path, [])
    assert read_mapped(path) == frozenset()


@pytest.mark.parametrize("text", [None, b"", b"id\na\n", b"slide_id\na,b\n", b"slide_id\n\xff\n"])
def test_another_file(tmp_path: Path, text: bytes | None):
    path = tmp_path / "mapped.csv"
    if text is not None:
        path.write_bytes(text)
    with pytest.raises(HiptError) as error:
        read_mapped(path)
    assert str(error.value) == (
        f"{path}: is not the list of slides that get heatmaps (slide_id, then one id a line); "
        "start with `snakemake`, which writes it"
    )
