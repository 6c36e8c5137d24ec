"""OpenVINO: a network that torch traced, compiled for this CPU. Nothing leaves the machine.

OpenVINO's Python package reports its import and every conversion to its makers, over the internet.
Both are done by its converter, which is kept from being loaded here: the traced network is handed
to the front end for torch directly.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from queue import SimpleQueue
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hipt.embedding.engines.engine import EngineName, Network
from hipt.nn.encoders import Precision, in_minibatches

MINIBATCH = 8
"""Inputs per forward pass, always: as fast as 16 and 32 (measured), and less to fill up."""

_TRACED = 2
"""Inputs that a network is traced with: more than one, which networks may treat on its own."""

_REPORTING = ("openvino.tools.ovc", "openvino_telemetry")
"""Modules that report; `import openvino` does without them where they cannot be imported."""

_HINTS: dict[Precision, str] = {"fp32": "f32", "bf16": "bf16"}


class NotConvertedError(Exception):
    """OpenVINO cannot compute a network; the text says why."""


def openvino_is_there() -> bool:
    """Whether OpenVINO is installed; nothing of it is loaded."""
    return find_spec("openvino") is not None


class _Request(Protocol):
    """Memory for one forward pass."""

    def infer(self, inputs: dict[int, npt.NDArray[np.float32]]) -> Sequence[Any]:
        """Its outputs."""


class _Compiled(Protocol):
    """A network that was compiled."""

    def create_infer_request(self) -> _Request:
        """One of as many as are at work at once."""


class OpenVinoEngine:
    """A network compiled for this CPU.

    Each thread computes minibatches of its own, all of the same size: what is missing in the last
    is filled up with zeros. So neither threads nor neighbours show in a vector.
    """

    name: EngineName = "openvino"
    minibatch = MINIBATCH

    def __init__(
        self, network: Network, example: Tensor, precision: Precision, threads: int
    ) -> None:
        """Trace, convert and compile the network.

        Args:
            network: on the CPU.
            example: (N, ...), inputs like those to come.
            precision: to compute in.
            threads: minibatches at once.

        Raises:
            NotConvertedError: if it cannot be traced, converted or compiled.
        """
        self.precision, self._threads, self._prepared = precision, threads, network.prepared
        try:
            openvino = _loaded()
            compiled = self._compiled(openvino, network, example)
            self._requests: SimpleQueue[_Request] = SimpleQueue()
            for _ in range(threads):
                self._requests.put(compiled.create_infer_request())
        except Exception as error:
            raise NotConvertedError(_reason(error)) from error
        self._version = str(openvino.__version__).partition("-")[0]

    @property
    def software(self) -> dict[str, str]:
        """What may show in the numbers."""
        versions = {"torch": torch.__version__, "openvino": self._version}
        return versions | {"engine": self.name}

    def vectors(self, batch: Tensor) -> Tensor:
        """(N, ...) on the CPU -> (N, D), float32."""
        return in_minibatches(self._minibatch, batch, MINIBATCH, self._threads)

    def _compiled(self, openvino: ModuleType, network: Network, example: Tensor) -> _Compiled:
        """The network for this CPU: a stream per thread, each with one, bound to no core."""
        with torch.inference_mode():
            inputs = network.prepared(example[:1])  # (1, ...)
        inputs = inputs.clone().expand(_TRACED, *inputs.shape[1:]).contiguous()
        front_end = openvino.frontend.FrontEndManager().load_by_framework("pytorch")
        traced = _traced(network.core(inputs), inputs)  # is read while it is converted: kept
        model = front_end.convert(front_end.load(traced))
        model.reshape([MINIBATCH, *inputs.shape[1:]])
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "INFERENCE_NUM_THREADS": self._threads,
            "NUM_STREAMS": self._threads,
            "ENABLE_CPU_PINNING": False,  # jobs side by side would all be bound to the first cores
        }
        compile_model = openvino.Core().compile_model
        # OpenVINO gives the thread that compiles a stack for signals, and frees it with the
        # network: the main thread would die of the next signal
        with ThreadPoolExecutor(1) as other_thread:
            compiled: _Compiled = other_thread.submit(
                compile_model, model, "CPU", settings
            ).result()
        return compiled

    def _minibatch(self, part: Tensor) -> Tensor:
        """(B, ...) -> (B, D), B at most MINIBATCH."""
        with torch.inference_mode():
            inputs = self._prepared(part)
            whole = inputs.new_zeros(MINIBATCH, *inputs.shape[1:])
            whole[: len(inputs)] = inputs
        request = self._requests.get()
        try:
            made = request.infer({0: whole.numpy()})[0]  # (MINIBATCH, D), memory of the request
            return torch.from_numpy(made[: len(part)].copy())
        finally:
            self._requests.put(request)


def _reason(error: Exception) -> str:
    """Why a network is not computed: what tracing raised, else OpenVINO's last line."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if "Exception:" in lines[:-1]:
        return lines[lines.index("Exception:") + 1]
    return lines[-1] if lines else type(error).__name__


def _loaded() -> ModuleType:
    """The package, without what reports."""
    modules: dict[str, Any] = sys.modules
    for name in _REPORTING:
        modules.setdefault(name, None)  # Python's way of saying: there is no such module
    return importlib.import_module("openvino")


def _traced(core: torch.nn.Module, inputs: Tensor) -> object:
    """A network as OpenVINO's front end reads it."""
    decoder = importlib.import_module("openvino.frontend.pytorch.ts_decoder")
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that sizes are taken as they are, which is wanted
        traced: object = decoder.TorchScriptPythonDecoder(
            core.eval(), example_input=inputs, trace_kwargs={"check_trace": False}
        )
    return traced
