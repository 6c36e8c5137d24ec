"""Fitting bag models: what decides the weights, and what must not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch

from hipt.config.tasks import FitConfig
from hipt.nn.mil import build
from hipt.nn.mil.fitting import BagData, Fitted, _drawn, _Learner, answers, fit

CPU = torch.device("cpu")
N, D = 36, 6
TRAIN, VALIDATION = list(range(24)), list(range(24, 36))


def data(labels: torch.Tensor | None = None) -> BagData:
    """Bags of 1 to 5 instances whose first number follows the class."""
    generator = torch.Generator().manual_seed(0)
    target = torch.arange(N) % 3 // 2 if labels is None else labels
    bags = [torch.randn(1 + i % 5, D, generator=generator) for i in range(N)]
    for bag, y in zip(bags, target, strict=True):
        bag[:, 0] += 3 * y
    return BagData(bags, None, None, target, None, None)


def fitted(given: BagData | None = None, seed: int = 3, **recipe: Any) -> Fitted:
    cfg = FitConfig(**{"epochs": 5, "lr": 0.01, **recipe})
    make = partial(build, "abmil", D, 2)
    return fit(make, given or data(), TRAIN, VALIDATION, cfg, seed, CPU)


def same(a: Fitted, b: Fitted) -> bool:
    return all(torch.equal(a.state[name], b.state[name]) for name in a.state)


def test_equal_seeds_give_equal_numbers_whatever_ran_before():
    torch.set_num_threads(1)
    one = fitted()
    torch.manual_seed(99)
    before = torch.random.get_rng_state()
    two = fitted()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert same(one, two)
    assert one.curve == two.curve
    assert not same(one, fitted(seed=4))


@pytest.mark.parametrize("batch", [1, 5])
def test_the_best_epoch_is_the_one_that_validates_best(batch: int):
    result = fitted(batch=batch, lr=0.05, epochs=8)
    losses = [epoch.validation_loss for epoch in result.curve]
    assert result.epoch == losses.index(min(losses))
    assert result.curve[0].train_loss > result.curve[-1].train_loss


def test_the_validation_part_decides_nothing_but_the_epoch():
    other = data().target.clone()
    other[VALIDATION] = 1 - other[VALIDATION]
    given = data()
    changed = BagData(given.bags, None, None, other, None, None)
    assert same(fitted(given, epoch="last"), fitted(changed, epoch="last"))
    assert fitted(given).epoch != fitted(changed).epoch


def test_the_kept_weights_are_those_of_the_epoch():
    long, short = fitted(epochs=6, epoch="last"), fitted(epochs=3, epoch="last")
    assert long.curve[:3] == short.curve
    assert (long.epoch, short.epoch) == (5, 2)
    best = fitted(epochs=6)
    again = fitted(epochs=best.epoch + 1, epoch="last")
    assert same(best, again)


def test_averaged_weights_follow_those_after_each_step():
    """One step per epoch, so that shorter fits end with the weights after each step."""
    recipe = {"batch": len(TRAIN), "epoch": "last", "balanced": False}
    result = fitted(epochs=4, average=0.3, **recipe)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = build("abmil", D, 2).state_dict()
    for t in range(1, 5):
        after = fitted(epochs=t, **recipe).state
        momentum = min(0.3, (1 + t) / (10 + t))
        expected = {k: momentum * v + (1 - momentum) * after[k] for k, v in expected.items()}
    for name, value in expected.items():
        torch.testing.assert_close(result.state[name], value, atol=1e-7, rtol=1e-5)
    assert not same(result, fitted(epochs=4, **recipe))


def test_a_step_sees_parts_of_bags_and_their_places():
    given = data()
    places = [torch.arange(2 * len(bag)).reshape(-1, 2) for bag in given.bags]
    kinds = [torch.arange(len(bag)) for bag in given.bags]
    placed = replace(given, positions=places, clusters=kinds)
    part = placed.take([3, 4], CPU, lambda m: torch.tensor([0, m - 1]))
    assert torch.equal(part.features, torch.stack([given.bags[i][[0, -1]] for i in (3, 4)]))
    assert torch.equal(part.positions, torch.stack([places[i][[0, -1]] for i in (3, 4)]))
    assert part.clusters.tolist() == [[0, 3], [0, 4]]
    assert part.mask.all()


def test_up_to_the_given_share_of_regions_is_left_out_of_a_step():
    cfg, draws = FitConfig(drop_regions=0.6), torch.Generator().manual_seed(0)
    learner = _Learner(build("mean", D, 2), cfg, draws, CPU)
    kept = [learner._seen(50) for _ in range(400)]
    sizes = [len(places) for places in kept]
    assert (min(sizes), max(sizes)) == (21, 50)
    assert sum(sizes) / 400 == pytest.approx(35, abs=1)
    seen = torch.stack([torch.bincount(places, minlength=50) for places in kept])
    assert int(seen.max()) == 1
    assert seen.double().mean(0).min() > 0.6
    assert all(torch.equal(places, places.sort().values) for places in kept)
    assert learner._seen(1).tolist() == [0]


def test_left_out_regions_are_drawn_by_the_seed_and_answers_see_all():
    one, two = (fitted(drop_regions=0.5) for _ in range(2))
    assert same(one, two)
    assert not same(one, fitted())
    model = build("mean", D, 2)
    whole = answers(model, data(), VALIDATION, CPU)
    assert [len(places) for places in whole.attention] == [1 + i % 5 for i in VALIDATION]


def test_balanced_draws_have_every_kind_equally_often():
    given, cfg = data(), FitConfig()
    draws = torch.Generator().manual_seed(0)
    counted = Counter(
        int(given.target[i]) for _ in range(300) for i in _drawn(given, TRAIN, cfg, draws)
    )
    assert counted[0] / counted[1] == pytest.approx(1, abs=0.06)
    plain = _drawn(given, TRAIN, FitConfig(balanced=False), draws)
    assert sorted(plain) == TRAIN


def test_answers_do_not_depend_on_company_and_come_in_order():
    given = data()
    model = build("hipt", D, 2, width=6)
    which = [30, 2, 17, 5, 4, 33, 0]
    together = answers(model, given, which, CPU)
    for place, i in enumerate(which):
        alone = answers(model, given, [i], CPU)
        torch.testing.assert_close(together.logits[place], alone.logits[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            together.attention[place], alone.attention[0], atol=1e-5, rtol=1e-5
        )


def test_a_loss_that_is_not_finite_is_refused():
    given = data()
    given.bags[3][0, 0] = torch.nan
    with pytest.raises(ValueError, match=r"loss is nan in epoch 0; lower fit\.lr"):
        fitted(given)


def test_the_best_epoch_needs_a_validation_part():
    cfg = FitConfig(epochs=1)
    with pytest.raises(ValueError, match="24 units to train with, 0 to validate with"):
        fit(partial(build, "mean", D, 2), data(), TRAIN, [], cfg, 0, CPU)
    last = cfg.model_copy(update={"epoch": "last"})
    assert fit(partial(build, "mean", D, 2), data(), TRAIN, [], last, 0, CPU).epoch == 0
