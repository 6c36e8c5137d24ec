"""Training that can be stopped at any moment: its state on disk, and signals that ask to stop."""

from __future__ import annotations

import io
import signal
from collections.abc import Mapping
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch

from hipt.embedding.weights_files import read_torch
from hipt.errors import HiptError
from hipt.store.whole import whole

ASKING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
"""Signals after which training saves and ends; SLURM can send any of them before its time limit."""


class StopAsked:
    """Remembers that a signal asked to stop, so that the step at work is finished first."""

    def __init__(self) -> None:
        self.signal: int | None = None
        """The signal that asked; None while nobody has."""

    def __enter__(self) -> Self:
        self._before = {asked: signal.signal(asked, self._remember) for asked in ASKING}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for asked, handler in self._before.items():
            signal.signal(asked, handler)

    def _remember(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        self.signal = signum


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
