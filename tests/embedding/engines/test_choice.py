"""Which engine computes: measured once, and remembered."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from hipt.embedding.engines import choice
from hipt.embedding.engines.choice import Choice, Task, Trials, Trying, Wanted, chosen_engine
from hipt.embedding.engines.engine import Network
from hipt.embedding.engines.record import Record, Trial, read_records
from hipt.errors import HiptError
from hipt.nn.encoders import PatchEncoder
from tests.embedding.engines import networks

CPU = torch.device("cpu")


def chosen(
    encoder: PatchEncoder,
    engine: str = "auto",
    precision: str = "fp32",
    folder: Path | None = None,
    inputs: Callable[[], torch.Tensor] = networks.patches,
    weights: str = "random:1",
) -> Choice:
    example = torch.zeros(1, 64, 64, 3, dtype=torch.uint8)
    task = Task(Network.of_patches(encoder), example, CPU, 2, 16)
    trying = Trying("embed_patches", inputs, {"weights": weights}, folder)
    return chosen_engine(task, Wanted(engine, precision), trying)


@pytest.fixture
def bf16_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on CPUs with matrix products in bf16."""
    monkeypatch.setattr("hipt.embedding.devices.bf16_is_faster", lambda _: True)


def trials(made: Choice) -> dict[tuple[str, str], str]:
    """What came of each trial."""
    assert made.record is not None
    return {(t.engine, t.precision): made.record.verdict(t) for t in made.record.trials}


def test_openvino_computes_where_its_vectors_agree():
    made = chosen(networks.own_vit())
    assert (made.engine.name, made.engine.precision) == ("openvino", "fp32")
    assert trials(made) == {("torch", "fp32"): "not taken", ("openvino", "fp32"): "computes"}
    assert made.record is not None
    assert all(trial.rate > 0 for trial in made.record.trials)
    assert made.record.chosen.agreement.most_off < 1e-4
    first, second = made.lines
    assert "torch fp32" in first
    assert second.startswith("computes, openvino fp32: ")
    assert "100.0% of 5 nearest neighbours kept" in second


def test_torch_that_is_clearly_faster_computes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(choice, "CLEARLY", 1e-9)  # so that any rate is
    assert chosen(networks.own_vit()).engine.name == "torch"
    assert chosen(networks.own_vit(), "openvino").engine.name == "openvino"


def test_torch_by_name_is_not_tried():
    made = chosen(networks.own_vit(), "torch", inputs=lambda: pytest.fail("nothing to try"))
    assert (made.engine.name, made.record, list(made.lines)) == ("torch", None, [])


@pytest.mark.usefixtures("bf16_is_faster")
def test_bf16_where_it_agrees():
    made = chosen(networks.own_vit(), precision="auto")
    assert (made.engine.name, made.engine.precision) == ("openvino", "bf16")
    assert ("openvino", "fp32") not in trials(made), "nobody asks"


@pytest.mark.usefixtures("bf16_is_faster")
@pytest.mark.parametrize("engine", ["auto", "openvino", "torch"])
def test_fp32_where_bf16_is_too_coarse(engine: str):
    made = chosen(networks.wrapped(networks.Delicate(), 16), engine, "auto")
    assert made.engine.precision == "fp32"
    found = trials(made)
    assert found["torch", "bf16"] == "too far from torch in fp32"
    if engine != "torch":
        assert found["openvino", "bf16"] == "too far from torch in fp32"
    assert any("too far" in line for line in made.lines)


@pytest.mark.usefixtures("bf16_is_faster")
@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_openvino_in_fp32_goes_before_torch_in_bf16(engine: str, monkeypatch: pytest.MonkeyPatch):
    fits = Trials._fits

    def too_far(self: Trials, trial: Trial, wanted: Wanted) -> bool:
        return fits(self, trial, wanted) and (trial.engine, trial.precision) != ("openvino", "bf16")

    monkeypatch.setattr(Trials, "_fits", too_far)
    monkeypatch.setattr(choice, "CLEARLY", 1e9)  # so that no rate is
    made = chosen(networks.own_vit(), engine, "auto")
    assert (made.engine.name, made.engine.precision) == ("openvino", "fp32")


@pytest.mark.parametrize("as_near", [True, False])
def test_bf16_by_name_is_bf16(monkeypatch: pytest.MonkeyPatch, *, as_near: bool):
    """However coarse: by OpenVINO, where it is as near to fp32 as torch's bf16."""
    if not as_near:
        monkeypatch.setattr("hipt.embedding.engines.agreement.AS_NEAR", -1)
    made = chosen(networks.wrapped(networks.Delicate(), 16), "openvino", "bf16")
    assert made.engine.precision == "bf16"
    off = {t.engine: 1 - t.agreement.least_cosine for t in made.record.trials[1:]}
    expected = as_near and off["openvino"] <= 2 * off["torch"]
    assert made.engine.name == ("openvino" if expected else "torch")


@pytest.mark.parametrize("engine", ["auto", "openvino"])
def test_a_trace_that_is_another_network_does_not_compute(engine: str):
    made = chosen(networks.wrapped(networks.Undecided(), 3), engine)
    assert made.engine.name == "torch"
    assert trials(made)["openvino", "fp32"] == "too far from torch in fp32"


def test_a_network_that_does_not_convert():
    class Odd(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            if torch.jit.is_tracing():
                raise TypeError("not like this")
            return pictures.mean((2, 3))

    made = chosen(networks.wrapped(Odd(), 3), "openvino")
    assert made.engine.name == "torch"
    assert "openvino fp32: cannot take this network (not like this)" in "\n".join(made.lines)


def test_a_choice_is_remembered(tmp_path: Path):
    first = chosen(networks.own_vit(), folder=tmp_path)
    assert first.fresh
    again = chosen(networks.own_vit(), folder=tmp_path, inputs=lambda: pytest.fail("tried again"))
    assert (again.record, again.fresh) == (first.record, False)
    assert again.engine.name == "openvino"
    (line,) = again.lines
    assert "as tried before on 20 inputs" in line
    assert read_records(tmp_path) == [first.record]


@pytest.mark.parametrize("what", ["cpu", "precision", "engine", "torch", "weights"])
def test_what_a_choice_does_not_hold_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
):
    chosen(networks.own_vit(), folder=tmp_path)
    asked = {"engine": "auto", "precision": "fp32"}
    match what:
        case "cpu":
            monkeypatch.setattr(choice, "cpu_facts", lambda: {"model name": "another"})
        case "torch":
            monkeypatch.setattr(choice.torch, "__version__", "2.0")
        case "weights":
            asked["weights"] = "random:2"
        case _:
            asked[what] = {"precision": "bf16", "engine": "openvino"}[what]
    assert chosen(networks.own_vit(), **asked, folder=tmp_path).fresh
    assert len(list(tmp_path.glob("*.json"))) == 2


NOT_TRIED = """{"step": "s", "engine": "torch", "precision": "bf16", "inputs": 1, "made_with": {},
"trials": [{"engine": "torch", "precision": "fp32"}]}"""


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"trials": 3}', '{"trials": [{}]}', NOT_TRIED, b"\xff"]
)
def test_a_damaged_record_is_made_anew(tmp_path: Path, text: str | bytes):
    chosen(networks.own_vit(), folder=tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert read_records(tmp_path) == []
    made = chosen(networks.own_vit(), folder=tmp_path)
    assert made.fresh
    assert Record.from_json(file.read_text()) == made.record


def test_jobs_side_by_side_try_once(tmp_path: Path):
    asked: list[int] = []

    def inputs() -> torch.Tensor:
        asked.append(1)
        return networks.patches()

    encoders = [networks.own_vit() for _ in range(3)]
    found: list[Choice] = []

    def job(encoder: PatchEncoder) -> None:
        found.append(chosen(encoder, folder=tmp_path, inputs=inputs))

    jobs = [threading.Thread(target=job, args=(encoder,)) for encoder in encoders]
    for one in jobs:
        one.start()
    for one in jobs:
        one.join()
    assert len(asked) == 1
    assert len({made.record.to_json() for made in found if made.record}) == 1
    assert sorted(made.fresh for made in found) == [False, False, True]


def test_nothing_to_try_with():
    empty = torch.zeros(0, 1, 1, 3, dtype=torch.uint8)
    made = chosen(networks.own_vit(), inputs=lambda: empty)
    assert (made.engine.name, made.record) == ("torch", None)


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where there is no wheel of it."""
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "site-packages" not in p])
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for name in [name for name in sys.modules if name.split(".")[0] == "openvino"]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.usefixtures("without_openvino")
def test_openvino_by_name_where_it_is_not_installed():
    with pytest.raises(HiptError, match=r"^embed\.engine: openvino is not installed here; install"):
        chosen(networks.own_vit(), "openvino")


@pytest.mark.usefixtures("without_openvino")
def test_auto_where_openvino_is_not_installed(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.INFO):
        made = chosen(networks.own_vit())
    assert made.engine.name == "torch"
    assert [r.message for r in caplog.records] == [
        "embed.engine: torch computes; openvino, which is faster on CPUs, is not installed"
    ]


@pytest.mark.parametrize(("engine", "lines"), [("auto", 0), ("openvino", 1), ("torch", 0)])
def test_gpus_have_torch(engine: str, lines: int, caplog: pytest.LogCaptureFixture):
    network = Network.of_patches(networks.own_vit())
    task = Task(network, networks.patches(1), torch.device("cuda"), 1, 256)
    trying = Trying("embed_patches", lambda: pytest.fail("nothing to try"), {})
    with caplog.at_level(logging.INFO):
        made = chosen_engine(task, Wanted(engine, "fp32"), trying)
    assert (made.engine.name, made.engine.minibatch) == ("torch", 256)
    assert len(caplog.records) == lines
