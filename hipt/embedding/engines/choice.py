"""Which engine computes a network on this machine: the fastest whose vectors are torch's.

In fp32 engines that agree are software, as the device is: vectors of one stand beside vectors of
the other. bf16 rounds, whoever computes it, and is part of what a vector is.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hipt import __version__
from hipt.config.config import EngineSetting, PrecisionSetting
from hipt.embedding.devices import choose_precision
from hipt.embedding.engines.agreement import Agreement, Floats
from hipt.embedding.engines.engine import Engine, EngineName, Network, TorchEngine
from hipt.embedding.engines.on_openvino import (
    NotConvertedError,
    OpenVinoEngine,
    openvino_is_there,
)
from hipt.embedding.engines.record import Record, Trial, alone, read_record, write_record
from hipt.errors import HiptError
from hipt.machine import cpu_facts
from hipt.nn.encoders import Precision
from hipt.store.provenance import fingerprint

log = logging.getLogger(__name__)

CLEARLY = 2.0
"""How much faster torch has to be to be taken where OpenVINO's vectors agree: what other work does
to a measured rate must not change the choice."""

LEAST_S = 0.05
"""CPU seconds for which an engine is measured, at least."""


@dataclass(frozen=True)
class Wanted:
    """What the config asks for."""

    engine: EngineSetting
    precision: PrecisionSetting


@dataclass(frozen=True)
class Task:
    """What is to be computed, and where."""

    network: Network
    example: Tensor
    """(1, ...): an input's size, whatever it holds."""
    device: torch.device
    threads: int
    minibatch: int
    """Of torch."""


@dataclass(frozen=True)
class Trying:
    """On what engines are tried, and where it is remembered."""

    step: str
    inputs: Callable[[], Tensor]
    """(N, ...): some of those to come; N may be 0."""
    identity: Mapping[str, Any]
    """What decides the vectors, beside precision and software; fit for JSON."""
    folder: Path | None = None
    """None: nothing is remembered."""


@dataclass(frozen=True)
class Choice:
    """The engine that computes, and why."""

    engine: Engine
    record: Record | None = None
    """None where there was nothing to choose from, or to try with."""
    fresh: bool = False
    """Whether engines were tried just now."""

    @property
    def lines(self) -> Iterator[str]:
        """What a person should know of it."""
        record = self.record
        if record is not None and self.fresh:
            yield from (f"{record.verdict(trial)}, {trial.text()}" for trial in record.trials)
        elif record is not None:
            yield f"computes, {record.chosen.text()}, as tried before on {record.inputs} inputs"


def chosen_engine(task: Task, wanted: Wanted, trying: Trying) -> Choice:
    """The engine that computes.

    Raises:
        HiptError: if OpenVINO is asked for by name, and is not installed.
    """
    engines, precisions = _engines(wanted, task.device), _precisions(wanted, task.device)
    if len(engines) == len(precisions) == 1:
        return Choice(_torch(task, precisions[0]))
    record, fresh = _record(task, wanted, trying, engines, precisions)
    if record is None:
        return Choice(_torch(task, precisions[0]))
    if record.engine == "openvino":
        try:
            made = OpenVinoEngine(task.network, task.example, record.precision, task.threads)
            return Choice(made, record, fresh)
        except NotConvertedError as error:  # it did when it was tried
            log.warning("openvino no longer computes this network (%s): torch does", error)
    return Choice(_torch(task, record.precision), record, fresh)


def _engines(wanted: Wanted, device: torch.device) -> tuple[EngineName, ...]:
    """The engines that may compute, the one that is expected to be fastest first."""
    if wanted.engine == "torch":
        return ("torch",)
    if device.type != "cpu":
        if wanted.engine == "openvino":
            log.info("embed.engine: torch computes on GPUs, and OpenVINO on CPUs alone")
        return ("torch",)
    if openvino_is_there():
        return ("openvino", "torch")
    if wanted.engine == "openvino":
        raise HiptError(
            "embed.engine: openvino is not installed here; install it (pip install openvino), or "
            "set engine: torch"
        )
    log.info("embed.engine: torch computes; openvino, which is faster on CPUs, is not installed")
    return ("torch",)


def _precisions(wanted: Wanted, device: torch.device) -> tuple[Precision, ...]:
    """The precisions that may be computed in, the one to take if it agrees first."""
    first = choose_precision(wanted.precision, device)
    auto = wanted.precision == "auto" and device.type == "cpu"
    return ("bf16", "fp32") if auto and first == "bf16" else (first,)


def _torch(task: Task, precision: Precision) -> TorchEngine:
    """torch, which computes every network."""
    return TorchEngine(task.network.whole, precision, task.minibatch, task.threads)


def _record(
    task: Task,
    wanted: Wanted,
    trying: Trying,
    engines: tuple[EngineName, ...],
    precisions: tuple[Precision, ...],
) -> tuple[Record | None, bool]:
    """What is remembered, else what a trial finds, None with nothing to try; and whether it did."""
    made_with = _made_with(engines)
    asked = {"engine": wanted.engine, "precision": wanted.precision}
    mark = fingerprint(identity=dict(trying.identity), asked=asked, **made_with)
    path = trying.folder and trying.folder / f"{trying.step}-{mark[:16]}.json"
    with alone(path) if path else nullcontext():
        record = read_record(path) if path else None
        if record is not None:
            return record, False
        inputs = trying.inputs()
        if not len(inputs):
            return None, False
        tried = Trials(task, inputs)
        best = tried.best(wanted, engines, precisions)
        found = tuple(tried.trials)
        shown = {"cpu": cpu_facts().get("model name", ""), **made_with["software"]}
        record = Record(trying.step, best.engine, best.precision, len(inputs), found, shown)
        if path:
            write_record(path, record)
    return record, True


def _made_with(engines: tuple[EngineName, ...]) -> dict[str, Any]:
    """What a trial holds for beside the network: the CPU, versions."""
    software = {"hipt": __version__, "torch": torch.__version__}
    if "openvino" in engines:
        software["openvino"] = version("openvino")
    return {"cpu": cpu_facts(), "software": software}


class Trials:
    """Engines at work on the same inputs, each when it is asked for."""

    def __init__(self, task: Task, inputs: Tensor) -> None:
        self._task, self._inputs = task, inputs
        self.trials: list[Trial] = []
        self._reference: Floats | None = None
        self._add(_torch(task, "fp32"))  # what the others are compared with

    def best(
        self, wanted: Wanted, engines: tuple[EngineName, ...], precisions: tuple[Precision, ...]
    ) -> Trial:
        """The trial to go by: of the first engine that fits; by `auto` torch where it is faster."""
        ways = ((name, precision) for name in engines for precision in precisions)
        first = next(trial for way in ways if self._fits(trial := self.of(*way), wanted))
        if wanted.engine != "auto" or first.engine == "torch":
            return first
        by_torch = [self.of("torch", precision) for precision in precisions]
        fit = [trial for trial in by_torch if self._fits(trial, wanted)]
        fastest = max(fit, key=lambda trial: trial.rate, default=first)
        return fastest if fastest.rate > CLEARLY * first.rate else first

    def _fits(self, trial: Trial, wanted: Wanted) -> bool:
        """Whether an engine may compute: by `auto` and in fp32 its vectors are near enough.

        torch in fp32 always may. bf16 that is asked for by name is that of any engine that rounds
        as torch does.
        """
        if trial.agreement is None:
            return False
        if trial is self.trials[0] or trial.agreement.holds(trial.precision):
            return True
        by_torch = self.of("torch", trial.precision)
        if wanted.precision != "bf16" or by_torch.agreement is None:
            return False
        return trial is by_torch or trial.agreement.as_near_as(by_torch.agreement)

    def of(self, name: EngineName, precision: Precision) -> Trial:
        """The trial of an engine in a precision."""
        for trial in self.trials:
            if (trial.engine, trial.precision) == (name, precision):
                return trial
        task = self._task
        if name == "torch":
            return self._add(_torch(task, precision))
        try:
            engine = OpenVinoEngine(task.network, task.example, precision, task.threads)
            return self._add(engine)
        except Exception as error:  # noqa: BLE001 - one that fails at work does not compute
            self.trials.append(Trial(name, precision, reason=str(error)))
            return self.trials[-1]

    def _add(self, engine: Engine) -> Trial:
        """Measure an engine."""
        engine.vectors(self._inputs[: engine.minibatch])  # the first is no measure
        spent, best = 0.0, float("inf")
        while spent < LEAST_S:  # the best of several, where they take no time
            start = time.process_time()
            vectors = engine.vectors(self._inputs).numpy()  # (N, D)
            took = time.process_time() - start
            spent, best = spent + took, min(best, took)
        self._reference = vectors if self._reference is None else self._reference
        agreement = Agreement.of(self._reference, vectors)
        trial = Trial(engine.name, engine.precision, len(self._inputs) / best, agreement)
        self.trials.append(trial)
        return trial
