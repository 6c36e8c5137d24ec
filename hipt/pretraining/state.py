"""Training that can be stopped at any moment: its state on disk, and signals that ask to stop."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any, Self

import torch

from hipt.embedding.weights_files import read_torch
from hipt.errors import HiptError
from hipt.store.whole import whole

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""Signals after which training saves and ends; SLURM can send any of them before its time limit."""


class StopSignal:
    """Remembers a signal that asked to stop, so that the step at work is finished first."""

    def __init__(self) -> None:
        self.number = 0
        """Of the last signal; 0 while none has come."""

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._remember) for number in STOP_SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _remember(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.number = number


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write a training state, whole or not at all; the one before stays until then."""
    held = io.BytesIO()  # torch turns a full disk into an error that does not say so
    torch.save(dict(state), held)
    with whole(path) as part:
        part.write_bytes(held.getbuffer())


def read_state(path: Path, settings: str) -> dict[str, Any] | None:
    """The training state to go on from; None where there is none.

    Args:
        path: the checkpoint.
        settings: what it must have been made with, as `write_state` was given it.

    Raises:
        HiptError: if it is damaged, or was made with other settings.
    """
    if not path.exists():
        return None
    try:
        state = dict(read_torch(path))
    except HiptError as error:
        reason = str(error).removeprefix(f"{path}: ")
        raise HiptError(
            f"{path}: is damaged ({reason}); delete it to begin anew, or restore it"
        ) from None
    if state.get("settings") != settings:
        raise HiptError(
            f"{path}: was made with other settings of pretraining than the config has now; put "
            "them back to go on, or delete it to begin anew"
        )
    return state
