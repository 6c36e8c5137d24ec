"""Training states on disk, and signals that ask to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
import torch

from hipt.errors import HiptError
from hipt.pretraining.state import ASKING, StopAsked, read_state, write_state


@pytest.mark.parametrize("asking", ASKING)
def test_a_signal_is_remembered_and_nothing_is_interrupted(asking: signal.Signals):
    with StopAsked() as asked:
        assert asked.signal is None
        os.kill(os.getpid(), asking)
        assert asked.signal == asking


def test_handlers_are_as_before_even_after_an_error():
    def own(signum, frame):
        """Somebody's handler."""

    before = {asking: signal.signal(asking, own) for asking in ASKING}
    try:
        with StopAsked():
            assert all(signal.getsignal(asking) is not own for asking in ASKING)
        with pytest.raises(KeyError), StopAsked():
            raise KeyError
        assert all(signal.getsignal(asking) is own for asking in ASKING)
    finally:
        for asking, handler in before.items():
            signal.signal(asking, handler)


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
