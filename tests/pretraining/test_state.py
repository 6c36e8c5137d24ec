"""Training states on disk, and signals that ask to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from hipt.errors import HiptError
from hipt.pretraining.state import STOP_SIGNALS, StopSignal, read_state, write_state


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_remembered_and_nothing_is_interrupted(number: signal.Signals):
    with StopSignal() as stop:
        assert stop.number == 0
        os.kill(os.getpid(), number)
        assert stop.number == number


def test_handlers_are_as_before_even_after_an_error():
    def own(signum, frame):
        """Somebody's handler."""

    before = {number: signal.signal(number, own) for number in STOP_SIGNALS}
    try:
        with StopSignal():
            assert all(signal.getsignal(number) is not own for number in STOP_SIGNALS)
        with pytest.raises(KeyError), StopSignal():
            raise KeyError
        assert all(signal.getsignal(number) is own for number in STOP_SIGNALS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_state_comes_back_as_it_was(tmp_path: Path):
    path = tmp_path / ".vit256" / "checkpoint.pt"
    assert read_state(path, "s") is None
    write_state(path, {"settings": "s", "steps": torch.arange(3)})
    write_state(path, {"settings": "s", "steps": torch.arange(4)})
    assert read_state(path, "s")["steps"].tolist() == [0, 1, 2, 3]
    assert list(path.parent.iterdir()) == [path]


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    write_state(path, {"settings": "s"})
    with pytest.raises(Exception, match="pickle"):
        write_state(path, {"settings": "s", "bad": lambda: None})
    assert read_state(path, "s") == {"settings": "s"}
    assert list(tmp_path.iterdir()) == [path]


def test_a_state_of_other_settings_is_refused(tmp_path: Path):
    path = tmp_path / "checkpoint.pt"
    write_state(path, {"settings": "s"})
    with pytest.raises(HiptError, match=r"checkpoint\.pt: was made with other settings"):
        read_state(path, "t")
    write_state(path, {})
    with pytest.raises(HiptError, match="other settings"):
        read_state(path, "t")


@pytest.mark.parametrize("kept", [0, 1, 40, 0.5, 0.98])
def test_a_damaged_state_is_refused(tmp_path: Path, kept: float):
    path = tmp_path / "checkpoint.pt"
    write_state(path, {"settings": "s", "weights": torch.rand(500)})
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(HiptError, match=r"checkpoint\.pt: is damaged \(.+\); delete it"):
        read_state(path, "s")


class Ran:
    """What a checkpoint from elsewhere may try to call."""

    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_state_cannot_run_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"settings": Ran()}, "checkpoint.pt")
    with pytest.raises(HiptError, match="is damaged"):
        read_state(Path("checkpoint.pt"), "s")
    assert not Path("ran").exists()
