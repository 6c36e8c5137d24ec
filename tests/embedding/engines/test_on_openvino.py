"""OpenVINO computes torch's vectors, whatever the network, threads and neighbours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from hipt.embedding.engines.agreement import Agreement
from hipt.embedding.engines.engine import Network, TorchEngine
from hipt.embedding.engines.on_openvino import MINIBATCH, NotConvertedError, OpenVinoEngine
from hipt.nn.encoders import PatchEncoder
from tests.embedding.engines import networks
from tests.watched import ROOT, asked_for, watched

ENCODERS = {
    "hipt": (networks.own_vit, 64),
    "virchow2": (
        lambda: networks.of_timm("virchow2", 56, depth=2, embed_dim=96, num_heads=4, img_size=56),
        64,
    ),
    "resnet": (lambda: networks.of_timm("resnet18"), 64),
    "efficientnet": (lambda: networks.of_timm("tf_efficientnet_lite0"), 64),
}
"""virchow2: SwiGLU, registers, CLS and mean, patches that are resized."""


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request: pytest.FixtureRequest) -> PatchEncoder:
    return ENCODERS[request.param][0]()


def test_vectors_are_those_of_torch(encoder: PatchEncoder):
    x, network = networks.patches(), Network.of_patches(encoder)
    expected = TorchEngine(encoder, "fp32", 16, 1).vectors(x)
    for precision in ("fp32", "bf16"):
        engine = OpenVinoEngine(network, x[:1], precision, 2)
        vectors = engine.vectors(x)
        assert vectors.dtype == torch.float32
        assert vectors.shape == (len(x), encoder.dim)
        agreement = Agreement.of(expected.numpy(), vectors.numpy())
        if precision == "fp32":
            assert agreement.most_off < 1e-4
            assert agreement.kept == 1
        else:
            assert agreement.most_off > 1e-4, "not rounded"
            assert agreement.least_cosine > 0.98


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_threads_and_neighbours_do_not_show(encoder: PatchEncoder, precision: str):
    x, network = networks.patches(), Network.of_patches(encoder)
    one, two, five = (OpenVinoEngine(network, x[:1], precision, n) for n in (1, 2, 5))
    vectors = one.vectors(x)
    assert torch.equal(two.vectors(x), vectors)
    assert torch.equal(five.vectors(x), vectors)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(1))
    assert torch.equal(two.vectors(x[order]), vectors[order])
    for start, stop in ((0, 1), (3, 8), (4, 4 + MINIBATCH + 1)):
        assert torch.equal(one.vectors(x[start:stop]), vectors[start:stop])


def test_regions():
    network = networks.regions()
    x = torch.rand(11, 24, 5, 5, generator=torch.Generator().manual_seed(0))
    expected = TorchEngine(network.whole, "fp32", 8, 1).vectors(x)
    vectors = OpenVinoEngine(network, x[:1], "fp32", 2).vectors(x)
    assert Agreement.of(expected.numpy(), vectors.numpy()).most_off < 1e-4
    np.testing.assert_allclose(vectors, expected, rtol=1e-4, atol=1e-5)


def test_a_network_that_cannot_be_traced_says_why():
    class Odd(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            raise TypeError(f"pictures of {pictures.shape[-1]} px are none of mine")

    network = Network.of_patches(networks.wrapped(Odd(), 3))
    with pytest.raises(NotConvertedError, match=r"^pictures of 64 px are none of mine$"):
        OpenVinoEngine(network, networks.patches(1), "fp32", 1)


def test_software_names_it():
    engine = OpenVinoEngine(Network.of_patches(networks.own_vit()), networks.patches(1), "fp32", 1)
    assert engine.software["engine"] == "openvino"
    assert engine.software["openvino"].count(".") == 2
    assert engine.software["torch"] == torch.__version__


ENGINE = """
from tests.embedding.engines import networks
from hipt.embedding.engines.engine import Network
from hipt.embedding.engines.on_openvino import OpenVinoEngine
x = networks.patches()
engine = OpenVinoEngine(Network.of_patches(networks.own_vit()), x[:1], "fp32", 2)
assert engine.vectors(x).shape == (20, 32)
"""


@pytest.mark.parametrize("code", [ENGINE, "import openvino"], ids=["hipt", "plain import"])
def test_nothing_leaves_the_machine(tmp_path: Path, code: str):
    """Not even a try to. A plain import reports itself: so this test can fail."""
    done = watched(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    if code == ENGINE:
        assert asked_for(tmp_path) == set()
        assert not (tmp_path / "intel").exists(), "openvino-telemetry keeps a number of this user"
    else:
        assert asked_for(tmp_path) & {"os.fork", "urllib.Request", "socket.getaddrinfo"}


_SIGNAL_STACKS = """
import ctypes
from hipt.embedding.engines.engine import Network
from hipt.embedding.engines.on_openvino import OpenVinoEngine
from tests.embedding.engines import networks

class Stack(ctypes.Structure):  # stack_t of signal.h
    _fields_ = ("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t)

def stack():
    own = Stack()
    assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(own)) == 0
    return own.start

before, x = stack(), networks.patches()
engine = OpenVinoEngine(Network.of_patches(networks.own_vit()), x[:1], "fp32", 2)
engine.vectors(x)
print(before, stack())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the structure is Linux's")
def test_signals_do_not_come_to_memory_that_goes_with_an_engine():
    """A thread that compiles is given a stack for signals, which is freed with the network."""
    line = [sys.executable, "-c", _SIGNAL_STACKS]
    done = subprocess.run(line, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.stdout == "None None\n", done.stderr
