"""Every card builds the network that it says, and a file of another model is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from hipt.config import presets as cards
from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding import weights_identity as identity
from hipt.embedding.encoder_input import encoder_input
from hipt.embedding.timm_revision import config_digest, timm_revision
from hipt.embedding.weights_files import load_patch_encoder
from hipt.errors import HiptError
from hipt.nn.pooling import width
from hipt.nn.timm_models import timm_model

OF_TIMM = [name for name, card in presets().items() if card.architecture != "hipt"]
SMALL = {"depth": 1, "embed_dim": 48, "num_heads": 2}


def cfg(name: str, **values: Any) -> PatchEncoderConfig:
    return PatchEncoderConfig.model_validate({"encoder": name, "random": 0} | values)


@pytest.mark.parametrize("name", OF_TIMM)
def test_a_card_is_a_network_of_timm_of_that_width(name: str):
    """Built whole, without memory."""
    card = presets()[name]
    network = timm_model(card.architecture, card.arguments, device="meta").network
    assert card.input_px is not None
    assert width(network, card.input_px, card.pooling) == card.width


def test_the_name_is_all_that_is_written():
    given = encoder_input(cfg("gigapath"))
    assert (given.px, given.resize_px, given.interpolation) == (224, 256, "bicubic")
    assert (given.mean, given.std) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (given.pooling, given.px_from, given.generic) == ("cls", "gigapath's card", False)
    assert encoder_input(cfg("uni")).mean[0] == 0.485  # timm's name for it says 0.5


def test_keys_by_hand_come_before_the_card():
    keys: dict[str, Any] = {
        **{"input_px": 96, "resize_px": 128, "interpolation": "bilinear", "pooling": "mean"},
        **{"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
    }
    given = encoder_input(cfg("gigapath", **keys))
    assert given.identity == keys | {"pooling": "mean"}
    assert (given.px_from, given.colours_from) == (
        "embed.patches.input_px",
        "embed.patches.mean and std",
    )
    with pytest.raises(HiptError, match=r"resize_px \(256\) is below input_px \(448\)"):
        encoder_input(cfg("gigapath", input_px=448))


@pytest.mark.parametrize(("name", "registers"), [("virchow", 0), ("virchow2", 4)])
def test_a_vector_is_what_the_card_code_gives(name: str, registers: int, tmp_path: Path):
    """Virchow's card: torch.cat([output[:, 0], output[:, 1 + registers:].mean(1)], dim=-1)."""
    import timm

    args = presets()[name].arguments | SMALL
    made = {"mlp_layer": timm.layers.SwiGLUPacked, "act_layer": torch.nn.SiLU, "global_pool": ""}
    torch.manual_seed(1)
    card = timm.create_model("vit_huge_patch14_224", num_classes=0, **(args | made)).eval()
    save_file(card.state_dict(), tmp_path / "model.safetensors")
    file = {"weights": str(tmp_path / "model.safetensors"), "random": None}
    encoder = load_patch_encoder(cfg(name, encoder_args=SMALL, **file))
    pixels = (torch.rand(2, 256, 256, 3) * 255).to(torch.uint8)
    with torch.inference_mode():
        output = card(encoder.normalised(pixels))
        expected = torch.cat([output[:, 0], output[:, 1 + registers :].mean(1)], dim=-1)
        torch.testing.assert_close(encoder(pixels), expected, rtol=0, atol=1e-5)
    assert encoder.dim == 96


def test_a_file_of_another_model_is_said_to_be_none_of_the_card(tmp_path: Path):
    save_file({"cls_token": torch.zeros(1, 1, 8)}, tmp_path / "w.safetensors")
    named = {"random": None, "weights": str(tmp_path / "w.safetensors")}
    short = cfg("uni2-h", encoder_args={"depth": 1}, **named)
    with pytest.raises(HiptError) as error:
        load_patch_encoder(short)
    assert str(error.value).endswith(
        "the file is not UNI2-h's: name pytorch_model.bin of https://huggingface.co/MahmoodLab/"
        "UNI2-h (`hipt encoders show uni2-h`), or the encoder that the file is of"
    )


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file whose sha256 is that of the published Lunit ViT-S/8, as far as the cache knows."""
    path = tmp_path / "model.safetensors"
    save_file({"w": torch.zeros(2)}, path)
    (digest,) = presets()["lunit-s8"].sha256
    monkeypatch.setattr(identity, "_seen", {identity._key(path): digest})
    return str(path), digest


@pytest.mark.parametrize("name", ["lunit-s16", "vit_small_patch8_224", "hipt"])
def test_a_known_file_under_another_name_is_refused(known: tuple[str, str], name: str):
    with pytest.raises(HiptError) as error:
        identity.weights_identity("embed.patches", cfg(name, random=None, weights=known[0]))
    assert str(error.value) == (
        f"embed.patches.weights: {known[0]}: is the published file of lunit-s8, and encoder is "
        f"{name}; set encoder: lunit-s8 or lunit-s8-hub, and leave out what its card says"
    )


@pytest.mark.parametrize("name", ["lunit-s8", "lunit-s8-hub", "local-dir:/models/lunit"])
def test_a_known_file_under_its_name_or_a_folder_is_taken(known: tuple[str, str], name: str):
    named = cfg(name, random=None, weights=known[0])
    assert identity.weights_identity("embed.patches", named) == known[1]


def test_a_changed_card_is_seen_by_plans(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    before = timm_revision(cfg("uni"))
    assert before.keys() == {"card"}  # timm's version decides nothing
    assert config_digest(cfg("uni")) == {}
    text = cards.FILE.read_text()
    for old, new, same in (
        ("title: UNI\n", "title: Uni\n", True),
        ("{img_size: 224, init_values: 1.0e-5}", "{img_size: 256, init_values: 1.0e-5}", False),
    ):
        assert old in text
        (tmp_path / "presets.yaml").write_text(text.replace(old, new, 1))
        monkeypatch.setattr(cards, "FILE", tmp_path / "presets.yaml")
        presets.cache_clear()
        assert (timm_revision(cfg("uni")) == before) == same
    monkeypatch.undo()
    presets.cache_clear()
