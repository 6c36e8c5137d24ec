"""Resizing, cropping and normalising are torchvision's, which the published cards use."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torchvision import transforms
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import to_pil_image

from hipt.config.presets import presets
from hipt.nn.encoders import PatchEncoder
from hipt.nn.preprocessing import PatchInput

NAMES = ("resize_px", "interpolation", "mean", "std")
CARDS = {
    (preset.input_px, *(getattr(preset, key) for key in NAMES)): name
    for name, preset in presets().items()
    if preset.input_px is not None
}.values()
"""Of the cards that ask for the same, one."""


def picture(px: int, contrast: float = 1.0) -> torch.Tensor:
    """(1, px, px, 3) uint8 with coarse and fine structure; at full contrast black and white too."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(1, 3, 9, 9, generator=generator) - 0.5
    smooth = torch.nn.functional.interpolate(coarse, (px, px), mode="bicubic")
    fine = torch.rand(1, 3, px, px, generator=generator) - 0.5
    values = (0.5 + contrast * (smooth + fine)).clamp(0, 1)
    return (values * 255).round().to(torch.uint8).movedim(1, -1)


def given(name: str) -> PatchInput:
    card = presets()[name]
    return PatchInput(px=card.input_px, **{key: getattr(card, key) for key in NAMES})


def reference(taken: PatchInput) -> list[Any]:
    """The transforms that a card is written with, without ToTensor."""
    assert taken.px is not None
    mode = InterpolationMode(taken.interpolation)
    return [
        transforms.Resize(taken.resize_px or taken.px, interpolation=mode, antialias=True),
        transforms.CenterCrop(taken.px),
    ]


@pytest.mark.parametrize("name", CARDS)
def test_a_card_input_is_torchvision_own(name: str):
    taken, pixels = given(name), picture(256)
    ours = PatchEncoder(torch.nn.Identity(), 1, taken).normalised(pixels)
    resized = transforms.Compose(reference(taken))(pixels.movedim(-1, 1).float() / 255)
    # Of tensors torchvision lets bicubic overshoot black and white, which pictures cannot.
    expected = transforms.Normalize(taken.mean, taken.std)(resized.clamp(0, 1))
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CARDS)
def test_pil_pictures_differ_by_rounding_to_bytes(name: str):
    """PIL rounds after the rows and again after the columns; between them it cuts off overshoot, so
    that beside black and white more may lie between it and either of the tensors."""
    taken, pixels = given(name), picture(256, contrast=0.4)
    ours = taken.picture(pixels)
    pil = transforms.Compose([*reference(taken), transforms.ToTensor()])
    theirs = pil(to_pil_image(pixels[0].movedim(-1, 0)))[None]
    steps = (ours - theirs).abs() * 255
    assert float(steps.max()) <= 1.5
    assert float(steps.mean()) <= 0.4


def test_gigapath_cuts_and_does_not_shrink():
    taken, pixels = given("gigapath"), picture(256)
    assert torch.equal(taken.picture(pixels), pixels[:, 16:-16, 16:-16].movedim(-1, 1) / 255)


@pytest.mark.parametrize(("px", "resize_px"), [(224, 255), (97, 224), (224, None), (512, 600)])
def test_odd_borders_and_other_sides_too(px: int, resize_px: int | None):
    taken = PatchInput(px=px, resize_px=resize_px, mean=(0.5,) * 3, std=(0.5,) * 3)
    tensor = picture(256).movedim(-1, 1).float() / 255
    expected = transforms.Compose(reference(taken))(tensor).clamp(0, 1)
    torch.testing.assert_close(taken.picture(picture(256)), expected, rtol=0, atol=1e-6)


def test_patches_of_the_right_side_are_not_touched():
    taken = PatchInput(px=64, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert torch.equal(taken.picture(picture(64)), picture(64).movedim(-1, 1) / 255)
    as_they_are = PatchInput(px=None, mean=(0.5,) * 3, std=(0.5,) * 3)
    assert torch.equal(as_they_are.picture(picture(96)), picture(96).movedim(-1, 1) / 255)


def test_a_crop_larger_than_the_picture_is_refused():
    with pytest.raises(ValueError, match=r"resize_px \(200\) is below input_px \(224\)"):
        PatchInput(px=224, resize_px=200, mean=(0.5,) * 3, std=(0.5,) * 3)
