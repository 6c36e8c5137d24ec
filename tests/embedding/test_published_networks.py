"""Published encoders by name: a picture's vector is that of the official network on its transform.

The cards of the presets are those of `presets.yaml` but for their depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from hipt.config import presets as table
from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding.weights_files import load_patch_encoder
from hipt.nn.encoders import PatchEncoder
from hipt.nn.timm_models import timm_model
from tests.embedding.cardmaker import CARDS, Card, published_network, transformers_network
from tests.embedding.networkmaker import hugging_face, scattered

ONCE_A_BLOCK = ("norm1.weight", "conv3.weight", "conv_dw.weight")
"""Of vision transformers, ResNet-50, EfficientNet."""
BY_NAME = [name for name in presets() if name != "hipt"]


def short_presets(path: Path) -> None:
    """The table of presets, with networks as short as those of the cards."""
    content = yaml.safe_load(table.FILE.read_text())
    for name, row in content["presets"].items():
        row["arguments"] = row.get("arguments", {}) | (CARDS[name].short if name in CARDS else {})
    path.write_text(yaml.safe_dump(content, sort_keys=False))


@pytest.fixture(scope="module")
def short_table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cards") / "presets.yaml"
    short_presets(path)
    return path


@pytest.fixture
def shortened(short_table: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(table, "FILE", short_table)
    presets.cache_clear()
    yield
    presets.cache_clear()


def pictures(px: int = 256) -> Tensor:
    """uint8 (2, px, px, 3): coarse and fine structure, no colour so extreme that bicubic resizing
    leaves 0 to 1, which `PatchInput` does not let it do and torchvision does."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 3, 9, 9, generator=generator) - 0.5
    smooth = torch.nn.functional.interpolate(coarse, (px, px), mode="bicubic")
    fine = torch.rand(2, 3, px, px, generator=generator) - 0.5
    return (127 + 80 * (smooth + fine)).round().to(torch.uint8).movedim(1, -1)


def by_name(name: str, path: Path) -> PatchEncoder:
    return load_patch_encoder(PatchEncoderConfig(encoder=name, weights=str(path)))


def assert_as_published(name: str, card: Card, folder: Path) -> None:
    """What the network of a file makes of patches by its name, and what the card makes of them."""
    network = published_network(card)
    encoder = by_name(card.preset or name, card.save(network, folder))
    pixels = pictures(256 if card.resize_px != 256 else 320)  # so that all are resized
    right = card.vectors(network, pixels)
    with torch.inference_mode():
        ours = encoder(pixels)
    assert ours.shape == (2, encoder.dim)
    assert (right[0] - right[1]).abs().max() > 0.003  # another picture, another vector
    torch.testing.assert_close(ours, right, rtol=0, atol=1e-5)


@pytest.mark.usefixtures("shortened")
@pytest.mark.parametrize("name", CARDS)
def test_vectors_are_those_of_the_official_network(name: str, tmp_path: Path):
    assert_as_published(name, CARDS[name], tmp_path)


@pytest.mark.parametrize("name", BY_NAME)
def test_networks_are_as_deep_as_published(name: str):
    """What the test above shortens; every preset has a card there."""
    preset = presets()[name]
    network = timm_model(preset.architecture, preset.arguments, device="meta").network
    blocks = sum(key.endswith(ONCE_A_BLOCK) for key in network.state_dict())
    assert blocks == CARDS[name].blocks


@pytest.mark.usefixtures("shortened")
@pytest.mark.parametrize("eps", [1e-12, 1e-6, 1e-3])
def test_layer_norms_add_what_the_config_says(eps: float, tmp_path: Path):
    """transformers' ViT has 1e-12 where its config.json says nothing; variances are small here."""
    sizes = {"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 2}
    network = scattered(transformers_network("vit", **sizes, layer_norm_eps=eps))
    for tensor in network.embeddings.state_dict().values():
        tensor.mul_(1e-4)
    path = hugging_face(network, tmp_path)
    right = CARDS["phikon"].vectors(network, pictures())
    differences = {}
    for args in ({}, {"layer_norm_eps": eps}):
        cfg = {"encoder": "phikon", "weights": str(path), "encoder_args": args}
        encoder = load_patch_encoder(PatchEncoderConfig.model_validate(cfg))
        with torch.inference_mode():
            differences[len(args)] = float((encoder(pictures()) - right).abs().max())
    assert differences[1] <= 1e-5
    assert (differences[0] <= 1e-5) == (eps == 1e-6)  # what Phikon's own config.json says
