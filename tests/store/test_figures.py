"""Figures as files, and what the log says of letters that no font has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from hipt.pictures.figure import missing_scripts, new_figure, style
from hipt.store import figures
from hipt.store.figures import pixels, write_figure


@pytest.fixture(autouse=True)
def new_run() -> Iterator[None]:
    """As if nothing had been logged yet."""
    figures._note.cache_clear()
    yield
    figures._note.cache_clear()


def titled(text: str):
    with style():
        figure = new_figure(60, 20)
        figure.suptitle(text)
    return figure


def test_a_script_that_no_font_has_is_named_once_with_what_to_install(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    for number in range(3):
        write_figure(tmp_path, f"a{number}", titled(f"slide 𓀀 {number}"))
        pixels(titled("𓀁"))
    note = (
        "letters of EGYPTIAN are boxes in PNG, JPEG and PDF, since no font here has them; install "
        "Unifont (Debian: fonts-unifont) and make these pictures again"
    )
    assert [record.getMessage() for record in caplog.records] == [note]


@pytest.mark.parametrize("text", ["肺腺癌", "폐암", "はいがん"])
def test_east_asian_letters_are_letters_or_there_is_a_note(
    caplog: pytest.LogCaptureFixture, text: str
):
    drawn = pixels(titled(text))
    (script,) = missing_scripts(titled(text)) or [""]
    notes = [record.getMessage() for record in caplog.records]
    if script:
        assert len(notes) == 1
        assert f"letters of {script} are boxes" in notes[0]
        assert "WenQuanYi Micro Hei (Debian: fonts-wqy-microhei)" in notes[0]
    else:
        assert notes == []
        assert not np.array_equal(drawn, pixels(titled("𓀀" * len(text))))


def test_letters_of_the_fonts_that_matplotlib_brings_need_no_note(
    caplog: pytest.LogCaptureFixture,
):
    pixels(titled("µm é ß Łódź Ταξινόμηση Микроскоп سرطان ✓"))
    assert caplog.records == []


def test_the_library_that_cuts_fonts_does_not_fill_the_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level("INFO")
    write_figure(tmp_path, "a", titled("a title"))
    assert caplog.records == []
