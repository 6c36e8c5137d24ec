"""An encoder that the user wrote: found without running it, checked, and known by its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file

from hipt.config.config import PatchEncoderConfig
from hipt.embedding.contract import contract
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.own_encoder import own_digest
from hipt.embedding.timm_revision import config_digest, timm_revision
from hipt.embedding.weights_files import load_patch_encoder
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import HiptError
from tests.embedding.test_contract import PATCHES

CODE = """
import torch
from torch import nn

class Means(nn.Module):
    dim, input_px, mean, std = {width}, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)

    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, {width})

    def forward(self, x):
        return self.last(x.mean((2, 3)))

def build(scale=1.0):
    network = Means()
    with torch.no_grad():
        network.last.weight.fill_(scale)
        network.last.bias.zero_()
    return network
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A package of the user's in the current folder; its name is another for each test."""
    name = f"lab_{abs(hash(request.node.name)) % 10**9}"
    (tmp_path / name).mkdir()
    (tmp_path / name / "__init__.py").touch()
    (tmp_path / name / "nets.py").write_text(CODE.format(width=4))
    monkeypatch.chdir(tmp_path)
    return name


def cfg(lab: str, function: str = "build", **values: Any) -> PatchEncoderConfig:
    return PatchEncoderConfig.model_validate({"encoder": f"python:{lab}.nets:{function}"} | values)


def test_vectors_are_the_functions_own(lab: str):
    encoder = load_patch_encoder(cfg(lab, encoder_args={"scale": 2.0}))
    pixels = torch.full((2, 64, 64, 3), 255, dtype=torch.uint8)
    assert encoder(pixels).tolist() == [[12.0] * 4] * 2  # 2 * 3 channels of (1 - 0.5) / 0.25
    assert (encoder.dim, encoder.given.px) == (4, 32)
    given = encoder_input(cfg(lab))
    assert given.px_from == given.colours_from == f"python:{lab}.nets:build"
    assert encoder_input(cfg(lab, input_px=48)).px == 48  # keys come first
    assert contract(cfg(lab), given, PATCHES) == {}


def test_its_file_is_identity_and_is_not_run_for_it(lab: str, tmp_path: Path):
    file = tmp_path / lab / "nets.py"
    before = own_digest(cfg(lab).encoder)
    assert weights_identity("embed.patches", cfg(lab)) == f"code:{before[:12]}"
    assert timm_revision(cfg(lab)) == config_digest(cfg(lab)) == {"encoder_code": before}
    file.write_text("raise SystemExit('this must not run')")
    assert own_digest(cfg(lab).encoder) != before
    assert timm_revision(cfg(lab)) == {"encoder_code": own_digest(cfg(lab).encoder)}


def test_weights_and_seeds_are_taken_as_for_others(lab: str, tmp_path: Path):
    state = {"last.weight": torch.arange(12.0).reshape(4, 3), "last.bias": torch.zeros(4)}
    save_file(state, tmp_path / "w.safetensors")
    named = cfg(lab, weights=str(tmp_path / "w.safetensors"))
    assert torch.equal(
        load_patch_encoder(named).model.state_dict()["last.weight"], state["last.weight"]
    )
    assert len(weights_identity("embed.patches", named)) == 64
    assert weights_identity("embed.patches", cfg(lab, random=3)) == "random:3"
    drawn = load_patch_encoder(cfg(lab, random=3)).model.state_dict()["last.weight"]
    assert drawn.std() > 0
    save_file({"other": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(HiptError, match=rf"the network is what python:{lab}\.nets:build gives"):
        load_patch_encoder(named)


SENTENCES = {
    "gives list, and no torch.nn.Module (": "def build(): return []",
    "attributes of what python:LAB.nets:build gives: dim: is missing; set it": (
        "import torch\ndef build(): return torch.nn.Identity()"
    ),
    "attributes of what python:LAB.nets:build gives: mean: must be less than or equal to 1, got "
    "123.7": (
        CODE.format(width=4) + "\nMeans.mean = (123.7, 116.3, 103.5)\n"
    ),
    "NameError: name 'undefined' is not defined (": "def build(): return undefined",
    "nets.py, line 2)": "def build():\n    return undefined",
    "AttributeError: module 'LAB.nets' has no attribute 'build'": "x = 1",
    "TypeError: build() got an unexpected keyword argument 'scale'": "def build(): return 1",
}  # fmt: skip


@pytest.mark.parametrize("sentence", SENTENCES)
def test_what_is_wrong_is_one_sentence(sentence: str, lab: str, tmp_path: Path):
    (tmp_path / lab / "nets.py").write_text(SENTENCES[sentence])
    args = {"scale": 1.0} if "scale" in sentence else {}
    with pytest.raises(HiptError) as error:
        load_patch_encoder(cfg(lab, encoder_args=args))
    assert str(error.value).startswith("embed.patches.encoder: ")
    assert sentence.replace("LAB", lab) in str(error.value)


def test_a_width_that_is_another_than_it_says_is_refused(lab: str, tmp_path: Path):
    (tmp_path / lab / "nets.py").write_text(CODE.format(width=4) + "\nMeans.dim = 5\n")
    with pytest.raises(HiptError) as error:
        load_patch_encoder(cfg(lab))
    assert str(error.value) == (
        f"embed.patches.encoder: python:{lab}.nets:build: its vectors have 4 numbers, and its "
        "attribute dim says 5"
    )


def test_a_module_that_is_not_there_is_said_with_where_it_was_looked_for(lab: str):
    for look in (encoder_input, timm_revision, lambda c: weights_identity("embed.patches", c)):
        with pytest.raises(HiptError) as error:
            look(PatchEncoderConfig(encoder=f"python:{lab}.gone:build"))
        assert str(error.value) == (
            f"embed.patches.encoder: python:{lab}.gone:build: no module {lab}.gone in the current "
            "folder or on Python's path; start in the folder that it is in, or name that folder in "
            "PYTHONPATH"
        )


def test_a_package_may_hold_the_function_itself(lab: str, tmp_path: Path):
    (tmp_path / lab / "__init__.py").write_text(CODE.format(width=2))
    config = PatchEncoderConfig(encoder=f"python:{lab}:build")
    assert load_patch_encoder(config).dim == 2
    assert json.loads(config.model_dump_json())["encoder"] == f"python:{lab}:build"


def test_the_example_of_the_page_is_clams_resnet(lab: str, tmp_path: Path):
    """The third stage of ResNet-50, averaged, as CLAM and TRIDENT take it: features_only, [3]."""
    page = Path(__file__).parents[2] / "docs" / "encoders.md"
    example = page.read_text().partition("```python\n")[2].partition("```")[0]
    assert example.count("\n") <= 11
    (tmp_path / lab / "nets.py").write_text(example)
    encoder = load_patch_encoder(cfg(lab, random=5))
    assert (encoder.dim, encoder.given.px) == (1024, 256)
    names = {"features_only": True, "out_indices": [3]}
    clam = timm.create_model("resnet50", **names).eval()
    clam.load_state_dict(encoder.model.state_dict())
    pixels = (torch.rand(2, 256, 256, 3) * 255).to(torch.uint8)
    with torch.inference_mode():
        expected = clam(encoder.normalised(pixels))[0].mean((2, 3))
        torch.testing.assert_close(encoder(pixels), expected, rtol=1e-5, atol=1e-5)
