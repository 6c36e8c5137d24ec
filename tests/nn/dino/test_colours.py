"""Colours of views, against torchvision, and their probabilities, against the recipe."""

from __future__ import annotations

import math

import pytest
import torch
from torchvision.transforms.v2 import functional as V

from hipt.config.pretraining import PatchViewsConfig
from hipt.nn.dino import colours as C

CFG = PatchViewsConfig()
DRAWS = 20_000


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures() -> torch.Tensor:
    """Noise; pale noise; eight pure colours; greys; white; black: (6, 3, 24, 24)."""
    noise = torch.rand(3, 24, 24, generator=seeded())
    pure = (torch.rand(3, 24, 24, generator=seeded(1)) > 0.5).float()
    grey = torch.rand(1, 24, 24, generator=seeded(2)).expand(3, 24, 24)
    return torch.stack(
        [noise, 0.8 + noise / 5, pure, grey, torch.ones(3, 24, 24), torch.zeros(3, 24, 24)]
    )


def colours(count: int, view: int = 1, cfg: PatchViewsConfig = CFG, seed: int = 0) -> C.Colours:
    return C.draw_colours(cfg, view, count, seeded(seed))


def assert_share(chosen: torch.Tensor, probability: float) -> None:
    """A count within five standard deviations of the binomial's mean."""
    n = chosen.numel()
    limit = 5 * math.sqrt(n * probability * (1 - probability))
    assert abs(int(chosen.sum()) - n * probability) <= limit


@pytest.mark.parametrize(
    ("ours", "theirs", "values"),
    [
        (C.adjust_brightness, V.adjust_brightness, [0.6, 1.4, 1.0, 0.7, 1.3, 0.0]),
        (C.adjust_contrast, V.adjust_contrast, [0.6, 1.4, 1.0, 0.7, 1.3, 0.0]),
        (C.adjust_saturation, V.adjust_saturation, [0.8, 1.2, 1.0, 0.9, 1.1, 0.0]),
        (C.adjust_hue, V.adjust_hue, [-0.1, 0.1, 0.07, -0.03, 0.1, 0.5]),
        (C.adjust_hue, V.adjust_hue, [0.5, -0.5, -0.4, 0.2, 0.0, 0.3]),
    ],
)
def test_jitter_equals_torchvision(ours, theirs, values):
    images = pictures()
    before = images.clone()
    got = ours(images, torch.tensor(values))
    expected = torch.stack([theirs(i, v) for i, v in zip(images, values, strict=True)])
    assert (got - expected).abs().max() <= 2e-6
    assert torch.equal(images, before)


def test_grayscale_and_solarise_equal_torchvision():
    images = pictures()
    expected = V.rgb_to_grayscale(images, num_output_channels=3)
    assert (C.grayscale(images) - expected).abs().max() <= 1e-6
    assert torch.equal(C.solarise(images), V.solarize(images, C.SOLARISE_FROM))


def test_solarise_inverts_from_128_of_255_as_pil_does():
    values = torch.arange(256, dtype=torch.uint8).expand(3, 1, 256)
    got = (C.solarise(values[None].float() / 255) * 255).round().to(torch.uint8)
    assert torch.equal(got[0], V.pil_to_tensor(V.solarize(V.to_pil_image(values), 128)))


@pytest.mark.parametrize("radius", [6, 3])
def test_blur_equals_torchvision(radius):
    images, sigma = pictures(), [0.1, 0.5, 1.0, 1.5, 2.0, 0.3]
    got = C.blur(images, torch.tensor(sigma), radius)
    size = [2 * radius + 1] * 2
    expected = [V.gaussian_blur(i, size, [s, s]) for i, s in zip(images, sigma, strict=True)]
    assert (got - torch.stack(expected)).abs().max() <= 2e-6


def test_blur_reaches_three_standard_deviations():
    assert C.reach(CFG.blur_sigma[1]) == 6
    images, sigma = torch.rand(1, 3, 64, 64, generator=seeded()), torch.tensor([2.0])
    assert (C.blur(images, sigma, 6) - C.blur(images, sigma, 20)).abs().max() <= 0.003


@pytest.mark.parametrize("view", [0, 1, 2, 9])
def test_probabilities_are_the_recipes(view):
    drawn = colours(DRAWS, view)
    assert_share(drawn.jitter, 0.8)
    assert_share(drawn.grey, 0.2)
    assert_share(drawn.sigma > 0, {0: 1.0, 1: 0.1}.get(view, 0.5))
    assert_share(drawn.solarise, 0.2 if view == 1 else 0.0)


def test_chances_are_independent():
    drawn = colours(DRAWS)
    assert_share(drawn.jitter & drawn.grey, 0.16)
    assert_share(drawn.grey & drawn.solarise, 0.04)
    assert_share(drawn.jitter & (drawn.sigma > 0), 0.08)


def test_factors_are_uniform_in_the_recipes_ranges():
    drawn = colours(DRAWS, view=0)
    ranges = [(0.6, 1.4), (0.6, 1.4), (0.8, 1.2), (-0.1, 0.1), (0.1, 2.0)]
    values = [*drawn.factors.unbind(1), drawn.sigma]
    for value, (low, high) in zip(values, ranges, strict=True):
        assert low - 1e-6 <= value.min() <= low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) <= value.max() <= high + 1e-6
        for quarter in range(4):
            start = low + quarter * (high - low) / 4
            assert_share((value >= start) & (value < start + (high - low) / 4), 0.25)


def test_a_factor_never_falls_below_0():
    cfg = PatchViewsConfig(brightness=1.0, contrast=1.0, saturation=1.0)
    assert colours(DRAWS, cfg=cfg).factors[:, :3].min() >= 0


def test_all_24_orders_are_equally_likely():
    orders, counts = colours(DRAWS).order.unique(dim=0, return_counts=True)
    assert len(orders) == 24
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders.tolist())
    assert (counts - DRAWS / 24).abs().max() <= 5 * math.sqrt(DRAWS / 24)


def test_recolour_is_jitter_in_order_then_grey_then_blur_then_solarise():
    images = torch.rand(48, 3, 16, 16, generator=seeded(3))
    cfg = PatchViewsConfig(blur=(0.5, 0.5, 0.5), solarise=0.5)
    drawn = colours(48, cfg=cfg)
    assert len({*map(tuple, drawn.order[drawn.jitter].tolist())}) > 12
    got = C.recolour(images.clone(), drawn, 6)
    changes = [V.adjust_brightness, V.adjust_contrast, V.adjust_saturation, V.adjust_hue]
    for i, image in enumerate(images):
        expected = image
        for index in drawn.order[i].tolist() if drawn.jitter[i] else []:
            expected = changes[index](expected, float(drawn.factors[i, index]))
        if drawn.grey[i]:
            expected = V.rgb_to_grayscale(expected, num_output_channels=3)
        if drawn.sigma[i] > 0:
            expected = V.gaussian_blur(expected, [13, 13], [float(drawn.sigma[i])] * 2)
        unsure = torch.zeros_like(expected, dtype=torch.bool)
        if drawn.solarise[i]:
            unsure = (expected - C.SOLARISE_FROM).abs() < 1e-5
            expected = V.solarize(expected, C.SOLARISE_FROM)
        assert (got[i] - expected)[~unsure].abs().max() <= 1e-5


def test_a_batch_equals_its_samples():
    images = torch.rand(24, 3, 16, 16, generator=seeded(4))
    drawn = colours(24, view=2)
    batch = C.recolour(images.clone(), drawn, 6)
    for i in range(24):
        alone = C.recolour(images[i : i + 1].clone(), C.Colours(*(c[i : i + 1] for c in drawn)), 6)
        assert (batch[i] - alone[0]).abs().max() <= 1e-6


def test_nothing_chosen_changes_nothing():
    images = pictures()
    cfg = PatchViewsConfig(jitter=0, grayscale=0, blur=(0, 0, 0), solarise=0)
    assert torch.equal(C.recolour(images.clone(), colours(6, cfg=cfg), 6), images)


def test_a_view_of_one_value_stays_finite_and_within_0_to_1():
    for value in (0.0, 0.5, 1.0):
        images = torch.full((200, 3, 16, 16), value)
        out = C.recolour(images, colours(200), 6)
        assert out.isfinite().all()
        assert out.min() >= 0
        assert out.max() <= 1 + 1e-6


def test_colours_follow_from_the_generator_alone():
    state = torch.get_rng_state()
    a, b, c = colours(50, seed=1), colours(50, seed=1), colours(50, seed=2)
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a.factors, c.factors)
    assert torch.equal(torch.get_rng_state(), state)
