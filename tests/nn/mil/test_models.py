"""What holds for every bag model."""

from __future__ import annotations

import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hipt.config.config import REGION_SHAPES, ViTShape
from hipt.nn.mil import MODELS, Bags, build
from hipt.nn.vit import vit4096
from tests.nn.mil.bagmaker import DIM, LENGTHS, NAMES, VMAPPED, alone, bags, noise, small

PAGE = Path(__file__).parents[3] / "docs" / "models.md"
LABELS = torch.tensor([0, 2, 1, 1])
CASES = [*((name, True) for name in NAMES), ("dgcn", False)]


def gradients(model, batch: Bags, labels) -> dict[str, torch.Tensor]:
    """Of everything a model answers, in double precision."""
    model = deepcopy(model).double()
    out = model(replace(batch, features=batch.features.double()), labels)
    mix = noise(32, seed=9).double()[: out.attention.shape[1]]
    loss = out.logits.square().sum() + len(labels) * out.loss
    if out.attention.requires_grad:
        loss = loss + (out.attention * mix).sum()
    loss.backward()
    return {
        n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in model.named_parameters()
    }


@pytest.mark.parametrize(("name", "places"), CASES)
def test_padding_changes_nothing(name, places):
    model, batch = small(name), bags(name, positions=places)
    torch.manual_seed(0)
    there = batch.mask.reshape(*batch.mask.shape, *[1] * (batch.features.ndim - 2))
    dirty = replace(
        batch, features=torch.where(there, batch.features, torch.randn_like(batch.features) * 9)
    )
    summed: dict[str, torch.Tensor] = {}
    for i, m in enumerate(LENGTHS):
        bag = alone(batch, i)
        for padded in (batch, dirty):
            whole, single = model(padded), model(bag)
            assert torch.allclose(whole.logits[i], single.logits[0], atol=1e-5)
            assert torch.allclose(whole.attention[i, batch.mask[i]], single.attention[0], atol=1e-5)
            assert not whole.attention[i, m:].any()
        for key, value in gradients(model, bag, LABELS[i : i + 1]).items():
            summed[key] = summed.get(key, 0) + value
    for padded in (batch, dirty):
        for key, value in gradients(model, padded, LABELS).items():
            assert torch.allclose(value, summed[key], rtol=1e-5, atol=1e-9), key


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("outputs", [1, 2, 4])
def test_attention_sums_to_1(name, outputs):
    out = small(name, outputs)(bags(name), LABELS.clamp(max=outputs - 1))
    assert out.logits.shape == (4, outputs)
    assert out.attention.shape == (4, 20)
    assert (out.attention >= 0).all()
    assert torch.allclose(out.attention.sum(1), torch.ones(4), atol=1e-6)
    assert out.loss.shape == ()
    assert (out.loss > 0) == (name == "clam_sb")


@pytest.mark.parametrize(("name", "places"), CASES)
def test_the_order_of_instances_is_nothing(name, places):
    model, batch = small(name), bags(name, lengths=(20,), positions=places)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(3))
    one = model(batch, LABELS[:1])
    other = model(
        Bags(
            batch.features[:, order],
            batch.mask[:, order],
            None if batch.positions is None else batch.positions[:, order],
            batch.clusters[:, order],
        ),
        LABELS[:1],
    )
    assert torch.allclose(one.logits, other.logits, atol=1e-5)
    assert torch.allclose(one.attention[:, order], other.attention, atol=1e-6)
    assert torch.allclose(one.loss, other.loss, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_learns(name):
    """But for the bias of an attention's last layer, which moves all scores alike."""
    model, batch = small(name), bags(name, lengths=(20, 20, 20, 20))
    for key, value in gradients(model, batch, LABELS).items():
        if key.endswith("pool.score.bias"):
            assert value.abs().max() < 1e-11, key
        else:
            assert value.abs().max() > 1e-5, key


@pytest.mark.parametrize("name", NAMES)
def test_a_bag_of_one(name):
    out = small(name)(bags(name, lengths=(1,)), LABELS[:1])
    assert out.logits.isfinite().all()
    assert out.loss.isfinite()
    assert torch.allclose(out.attention, torch.ones(1, 1))


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_bag_gives_no_nan_and_disturbs_none(name):
    """Folds that train together may have bags to spare."""
    model, batch = small(name), bags(name)
    mask = batch.mask.clone()
    mask[1] = False
    batch, rest = replace(batch, mask=mask), [0, 2, 3]
    out = model(batch, LABELS)
    assert out.logits.isfinite().all()
    assert not out.attention[1].any()
    few = Bags(*(part[rest] for part in vars(batch).values()))
    expected = model(few, LABELS[rest])
    assert torch.allclose(out.logits[rest], expected.logits, atol=1e-5)
    assert torch.allclose(out.loss, expected.loss, atol=1e-5)
    result = gradients(model, batch, LABELS)
    assert all(value.isfinite().all() for value in result.values())


@pytest.mark.parametrize("name", NAMES)
def test_dropout_is_for_training(name):
    model, batch = small(name), bags(name)
    assert torch.equal(model(batch).logits, model(batch).logits)
    torch.manual_seed(0)
    model.train()
    same = torch.equal(model(batch).logits, model(batch).logits)
    assert same == (name == "dsmil")
    still = small(name, dropout=0.0).train()
    assert torch.equal(still(batch).logits, still(batch).logits)


def stacked(models):
    """Parameters of an ensemble, and how it answers for tensors of one member or of each."""
    parameters, _ = torch.func.stack_module_state(models)

    def answer(own, features, mask, labels):
        return tuple(torch.func.functional_call(models[0], own, (Bags(features, mask), labels)))

    return parameters, answer


@pytest.mark.parametrize("name", VMAPPED)
@pytest.mark.parametrize("outputs", [2, 3])
def test_an_ensemble_equals_its_members(name, outputs):
    models = [small(name, outputs, seed) for seed in range(3)]
    each = [bags(name, first_seed=10 * i) for i in range(3)]
    labels = torch.stack([LABELS.clamp(max=outputs - 1).roll(i) for i in range(3)])
    parameters, answer = stacked(models)
    features, mask = (torch.stack([getattr(b, k) for b in each]) for k in ("features", "mask"))
    own = torch.func.vmap(answer, randomness="different")(parameters, features, mask, labels)
    shared = torch.func.vmap(answer, (0, None, None, None), randomness="different")(
        parameters, features[0], mask[0], labels[0]
    )
    for i, model in enumerate(models):
        for k, part in enumerate(model(each[i], labels[i])):
            assert torch.allclose(own[k][i], part, atol=1e-5)
        for k, part in enumerate(model(each[0], labels[0])):
            assert torch.allclose(shared[k][i], part, atol=1e-5)


@pytest.mark.parametrize("name", VMAPPED)
def test_an_ensemble_learns_as_its_members_do(name):
    models = [small(name, 3, seed) for seed in range(3)]
    parameters, answer = stacked(models)
    batch = bags(name)

    def loss(own):
        logits, _, extra = answer(own, batch.features, batch.mask, LABELS)
        return torch.nn.functional.cross_entropy(logits, LABELS) + extra

    result = torch.func.vmap(torch.func.grad(loss), randomness="different")(parameters)
    for i, model in enumerate(models):
        out = model(batch, LABELS)
        (torch.nn.functional.cross_entropy(out.logits, LABELS) + out.loss).backward()
        for key, parameter in model.named_parameters():
            expected = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
            assert torch.allclose(result[key][i], expected, atol=1e-5), key


@pytest.mark.parametrize("name", [name for name in VMAPPED if name != "dsmil"])
def test_members_drop_their_own_units(name):
    models = [small(name).train() for _ in range(2)]
    parameters, answer = stacked(models)
    batch = bags(name)
    run = torch.func.vmap(answer, (0, None, None, None), randomness="different")
    torch.manual_seed(0)
    logits, *_ = run(parameters, batch.features, batch.mask, LABELS)
    assert not torch.allclose(logits[0], logits[1])


def size(name: str) -> int:
    """Parameters at the table's widths."""
    kind = MODELS[name]
    needs = name in ("hipt_finetuned", "hipt_scratch")
    stage2 = vit4096(REGION_SHAPES["released"], 384) if needs else None
    model = build(name, 384 if kind.grids else 192, 2, stage2=stage2)
    return sum(p.numel() for p in model.parameters())


def test_the_page_has_every_model_and_its_size():
    table = PAGE.read_text().partition("## ")[0]
    rows = [row.split("|")[1:-1] for row in table.splitlines() if row.startswith("| `")]
    cells = {row[0].strip(): row[3].strip() for row in rows}
    assert [re.findall(r"`(\w+)`", key)[0] for key in cells] == NAMES
    for key, count in cells.items():
        assert int(count.replace(",", "")) == size(key.strip("`")), key


def test_hipt_has_as_many_parameters_as_published():
    for outputs in (2, 3, 4):
        model = build("hipt", 192, outputs)
        assert sum(p.numel() for p in model.parameters()) == 595_204 + 193 * (outputs - 3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="no model 'linear': hipt, hipt_wsi, hipt_finetuned"):
        build("linear", DIM, 2)
    with pytest.raises(ValueError, match="hipt_scratch needs a stage2"):
        build("hipt_scratch", DIM, 2)
    with pytest.raises(ValueError, match="abmil takes no stage2"):
        build("abmil", DIM, 2, stage2=vit4096(ViTShape(depth=1, dim=9, heads=3), DIM))
    with pytest.raises(ValueError, match="heads do not divide"):
        build("hipt", DIM, 2, width=10)
    with pytest.raises(ValueError, match="takes region vectors"):
        small("hipt")(bags("hipt_n"))
    with pytest.raises(ValueError, match="takes grids"):
        small("hipt_n")(bags("hipt"))
    with pytest.raises(ValueError, match="needs the cluster"):
        small("deepattnmisl")(replace(bags("deepattnmisl"), clusters=None))


@pytest.mark.parametrize("name", ["max", "clam_sb"])
def test_glorots_start(name):
    torch.manual_seed(0)
    model = build(name, 192, 2)
    first = model.embed[0]
    assert float(first.weight.detach().std()) == pytest.approx((2 / 384) ** 0.5, rel=0.02)
    assert not first.bias.detach().any()
    assert not model.classifier.bias.detach().any()
