"""DINO against a second derivation from the formulas: loops over pairs, gradients by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from hipt.config.config import ViTShape
from hipt.config.pretraining import DinoConfig
from hipt.nn.dino.loss import (
    COLLAPSE,
    DinoHead,
    DinoLoss,
    Network,
    UnitRows,
    collapsed,
    diverged,
    follow,
    freeze_last_layer,
)
from hipt.nn.dino.schedule import clip_each, cosine, parameter_groups, set_rates
from hipt.nn.vit import initialise, vit4096

CFG = DinoConfig(out_dim=11, hidden_dim=8, bottleneck_dim=6)
B, C, D = 3, 4, 5


def noise(seed: int, *shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def shaken(model: nn.Module, seed: int = 0) -> nn.Module:
    """Every parameter random and of a size at which GELU bends."""
    with torch.no_grad():
        for i, parameter in enumerate(model.parameters()):
            parameter.copy_(noise(100 * seed + i, *parameter.shape) * 0.7)
    return model


class Pooled(nn.Module):
    """A backbone that a page of NumPy can follow; it counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.calls = nn.Linear(C, D), 0

    def forward(self, x):
        self.calls += 1
        return self.linear(x.mean((2, 3)))


def network(seed: int = 0) -> Network:
    return shaken(Network(Pooled(), DinoHead(D, CFG)).double(), seed)


def views_of(seed: int) -> list[torch.Tensor]:
    """Two large views and three small ones, all of different content."""
    sides = (4, 4, 2, 2, 2)
    return [noise(50 * seed + i, B, C, side, side) for i, side in enumerate(sides)]


def softmax(row):
    powers = [math.exp(x - max(row)) for x in row]
    return np.array(powers) / sum(powers)


def derived_loss(student, teacher, centre, cfg):
    """Loss, entropy, and the gradient at the student's outputs; (V, B, K) and (2, B, K)."""
    total, entropy, pairs = 0.0, 0.0, 0
    grad = np.zeros_like(student)
    V, B, _ = student.shape
    for i in range(2):
        for v in range(V):
            if v == i:
                continue
            pairs += 1
            for b in range(B):
                t = softmax((teacher[i, b] - centre) / cfg.teacher_temp)
                s = softmax(student[v, b] / cfg.student_temp)
                total -= sum(t * np.log(s)) / B
                grad[v, b] += (s - t) / cfg.student_temp / B
                entropy -= sum(x * math.log(x) for x in t if x > 0) / (2 * B * (V - 1))
    return total / pairs, entropy, grad / pairs


def gelu(x):
    return np.vectorize(lambda a: a * 0.5 * (1 + math.erf(a / math.sqrt(2))))(x)


def gelu_slope(x):
    bell = np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)
    return np.vectorize(lambda a: 0.5 * (1 + math.erf(a / math.sqrt(2))))(x) + x * bell


def lengths(rows):
    return np.sqrt((rows**2).sum(1, keepdims=True))


def arrays(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().numpy().copy() for name, p in model.named_parameters()}


LINEARS = ("backbone.linear", "head.mlp.0", "head.mlp.2", "head.mlp.4")
LAST = "head.last_layer.weight"


def derived_forward(p, x):
    """Outputs (N, K) for pooled views (N, C), and every layer's input."""
    inputs = [x]
    for i, name in enumerate(LINEARS):
        y = inputs[-1] @ p[f"{name}.weight"].T + p[f"{name}.bias"]
        inputs += [y, gelu(y)] if i in (1, 2) else [y]
    y = inputs[-1]
    return y / lengths(y) @ (p[LAST] / lengths(p[LAST])).T, inputs


def derived_backward(p, inputs, grad):
    """Gradients by name, from the gradient (N, K) at the outputs."""
    y, rows = inputs[-1], p[LAST]
    unit, unit_rows = y / lengths(y), rows / lengths(rows)
    at_rows, at_unit = grad.T @ unit, grad @ unit_rows
    along = (at_rows * unit_rows).sum(1, keepdims=True)
    result = {LAST: (at_rows - unit_rows * along) / lengths(rows)}
    along = (at_unit * unit).sum(1, keepdims=True)
    g = (at_unit - unit * along) / lengths(y)
    places = (0, 1, 3, 5)  # of the layers' inputs: x, vector, GELU, GELU
    for i in (3, 2, 1, 0):
        name, x = LINEARS[i], inputs[places[i]]
        result[f"{name}.weight"], result[f"{name}.bias"] = g.T @ x, g.sum(0)
        g = g @ p[f"{name}.weight"]
        if i in (2, 3):
            g = g * gelu_slope(inputs[places[i] - 1])
    return result


class HandAdamW:
    """AdamW as published, one number of steps per parameter."""

    def __init__(self):
        self.m, self.v, self.t = {}, {}, {}

    def step(self, p, grads, lr, decay):
        for name, g in grads.items():
            t = self.t[name] = self.t.get(name, 0) + 1
            m = self.m[name] = 0.9 * self.m.get(name, 0) + 0.1 * g
            v = self.v[name] = 0.999 * self.v.get(name, 0) + 0.001 * g**2
            if p[name].ndim > 1:
                p[name] = p[name] - lr * decay * p[name]
            p[name] = p[name] - lr * m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def test_head_equals_its_formula():
    model = network()
    x = noise(7, 9, C, 1, 1)
    with torch.no_grad():
        out = model([x])
    expected, _ = derived_forward(arrays(model), x[:, :, 0, 0].numpy())
    assert out.numpy() == pytest.approx(expected, abs=1e-12)
    assert out.abs().max() <= 1


def test_last_layer_is_weight_norm_with_its_magnitude_at_1():
    ours = UnitRows(6, 11, seed=3).double()
    theirs = nn.utils.parametrizations.weight_norm(nn.Linear(6, 11, bias=False).double())
    magnitude = theirs.parametrizations.weight.original0
    direction = theirs.parametrizations.weight.original1
    with torch.no_grad():
        magnitude.fill_(1)
        direction.copy_(ours.weight)
    x = noise(0, 4, 6)
    towards = noise(1, 4, 11)
    (ours(x) * towards).sum().backward()
    (theirs(x) * towards).sum().backward()
    assert torch.allclose(ours(x), theirs(x), rtol=0, atol=1e-14)
    assert torch.allclose(ours.weight.grad, direction.grad, rtol=0, atol=1e-14)


def test_head_follows_from_the_seed_alone():
    state = torch.get_rng_state()
    cfgs = [DinoConfig(seed=s, hidden_dim=300, out_dim=400, bottleneck_dim=100) for s in (1, 1, 2)]
    a, b, c = (DinoHead(200, cfg) for cfg in cfgs)
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[name])
        assert name.endswith("bias") or not torch.equal(value, c.state_dict()[name])
    for i in (0, 2, 4):
        assert float(a.mlp[i].weight.detach().std()) == pytest.approx(0.02, rel=0.05)
        assert not a.mlp[i].bias.any()
    rows = a.last_layer.weight.detach()
    assert float(rows.abs().max()) <= 0.1  # 1 / sqrt(100)
    assert float(rows.std()) == pytest.approx(0.1 / math.sqrt(3), rel=0.02)


def test_head_of_the_recipe_has_the_published_shape():
    head = DinoHead(384, DinoConfig(out_dim=2))  # fewer outputs than 65536
    shapes = [tuple(layer.weight.shape) for layer in head.mlp if isinstance(layer, nn.Linear)]
    assert shapes == [(2048, 384), (2048, 2048), (256, 2048)]
    assert head.last_layer.weight.shape == (2, 256)


def test_views_of_one_size_pass_together_and_come_back_in_order():
    backbone = vit4096(ViTShape(depth=2, dim=12, heads=3), in_dim=C)
    initialise(backbone, 0)
    model = shaken(Network(backbone, DinoHead(12, CFG)).double()).eval()
    views = [noise(i, B, C, *size) for i, size in enumerate([(4, 4), (2, 2), (4, 4), (2, 3)])]
    with torch.no_grad():
        together = model(views)
        alone = torch.cat([model([view]) for view in views])
    assert together.shape == (4 * B, CFG.out_dim)
    assert torch.allclose(together, alone, rtol=0, atol=1e-12)
    counted = network()
    counted(views_of(0))
    assert counted.backbone.calls == 2  # once per size


@pytest.mark.parametrize("views", [2, 3, 6])
@pytest.mark.parametrize(("dtype", "limit"), [(torch.float32, 2e-5), (torch.float64, 1e-11)])
def test_loss_and_centre_equal_loops_over_pairs(views, dtype, limit):
    criterion = DinoLoss(CFG).to(dtype)
    centre = np.zeros(CFG.out_dim)
    for step in range(24):
        student = noise(step, views * B, CFG.out_dim).to(dtype).requires_grad_()
        teacher = (noise(1000 + step, 2 * B, CFG.out_dim) * 0.2).to(dtype)
        parts = criterion(student, teacher, views)
        criterion.update_centre(teacher)
        parts.loss.backward()
        loss, entropy, grad = derived_loss(
            student.detach().double().numpy().reshape(views, B, -1),
            teacher.double().numpy().reshape(2, B, -1),
            centre,
            CFG,
        )
        mean = sum(teacher.double().numpy()) / (2 * B)
        centre = 0.9 * centre + 0.1 * mean
        assert float(parts.loss.detach()) == pytest.approx(loss, rel=limit)
        assert float(parts.teacher_entropy) == pytest.approx(entropy, rel=limit)
        assert parts.centre.numpy()[0] == pytest.approx(mean, abs=limit)
        assert criterion.centre.numpy()[0] == pytest.approx(centre, abs=limit)
        assert student.grad.numpy().reshape(grad.shape) == pytest.approx(grad, abs=limit)
    assert np.abs(centre).max() > 0.01


def test_no_gradient_reaches_the_teacher():
    student, teacher = network(1), network(2)
    views = views_of(0)
    parts = DinoLoss(CFG).double()(student(views), teacher(views[:2]), len(views))
    parts.loss.backward()
    assert all(p.grad is None for p in teacher.parameters())
    assert all(p.grad is not None and p.grad.any() for p in student.parameters())
    assert not parts.teacher_entropy.requires_grad
    assert not parts.centre.requires_grad


def test_the_loss_is_computed_in_fp32_under_autocast():
    criterion = DinoLoss(CFG)
    model = Network(Pooled(), DinoHead(D, CFG))
    views = [v.float() for v in views_of(0)]
    with torch.autocast("cpu", torch.bfloat16):
        out = model(views)
        parts = criterion(out, out[: 2 * B], len(views))
        criterion.update_centre(out[: 2 * B])
    assert out.dtype == torch.float32
    result = {parts.loss.dtype, parts.teacher_entropy.dtype, criterion.centre.dtype}
    assert result == {torch.float32}
    parts.loss.backward()
    assert model.head.last_layer.weight.grad.dtype == torch.float32


@pytest.mark.parametrize(("students", "teachers", "views"), [(3, 6, 1), (9, 4, 3), (3, 3, 2)])
def test_rows_that_do_not_fit_the_views_are_refused(students, teachers, views):
    with pytest.raises(ValueError, match=f"{students} and {teachers} rows do not fit {views}"):
        DinoLoss(CFG)(torch.zeros(students, 11), torch.zeros(teachers, 11), views)


def test_the_centre_is_the_mean_over_processes(monkeypatch):
    """Two processes, the other one's sum added by hand."""
    here, there = noise(0, 6, CFG.out_dim), noise(1, 6, CFG.out_dim)
    monkeypatch.setattr(dist, "is_initialized", lambda: True)
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    monkeypatch.setattr(dist, "all_reduce", lambda mean: mean.add_(there.mean(0, keepdim=True)))
    criterion = DinoLoss(CFG).double()
    criterion.update_centre(here)
    assert torch.allclose(criterion.centre[0], 0.1 * torch.cat([here, there]).mean(0))


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.996, 1.0])
def test_the_teacher_follows_as_a_loop_says(momentum):
    teacher, student = (nn.Sequential(network(s), nn.BatchNorm1d(3)).double() for s in (1, 2))
    student[1].running_mean.fill_(7)
    student[1].num_batches_tracked.fill_(5)
    teacher[0].requires_grad_(False)
    expected = {}
    for name, t in teacher.named_parameters():
        expected[name] = momentum * t.detach() + (1 - momentum) * student.get_parameter(name)
    follow(teacher, student, momentum)
    for name, t in teacher.named_parameters():
        assert torch.allclose(t, expected[name], rtol=0, atol=1e-14)
        assert t.grad_fn is None
    assert teacher[1].running_mean.tolist() == [7, 7, 7]
    assert int(teacher[1].num_batches_tracked) == 5


def test_whole_steps_equal_the_derivation_by_hand():
    """Forward, loss, backward, clip, freeze, AdamW, teacher, centre: eight times, no autograd."""
    steps, frozen, limit = 8, 3, 1.0
    student, teacher = network(1), network(2).requires_grad_(False)
    p, q, hand, centre = arrays(student), arrays(teacher), HandAdamW(), np.zeros(CFG.out_dim)
    criterion = DinoLoss(CFG).double()
    optimiser = torch.optim.AdamW(parameter_groups(student), lr=1.0)
    clipped = []
    for i in range(steps):
        lr, decay = cosine(i, steps, 0.05, 0.01, warmup=2), cosine(i, steps, 0.04, 0.4)
        momentum, views = cosine(i, steps, 0.9, 1.0), views_of(i)

        answers = teacher(views[:2])
        parts = criterion(student(views), answers, len(views))
        optimiser.zero_grad()
        parts.loss.backward()
        clip_each(student.parameters(), limit)
        if i < frozen:
            freeze_last_layer(student.head)
        set_rates(optimiser, lr, decay)
        optimiser.step()
        follow(teacher, student, momentum)
        criterion.update_centre(answers)

        pooled = np.concatenate([view.numpy().mean((2, 3)) for view in views])
        out, inputs = derived_forward(p, pooled)
        targets, _ = derived_forward(q, pooled[: 2 * B])
        shape = (len(views), B, CFG.out_dim)
        loss, _, grad = derived_loss(out.reshape(shape), targets.reshape(2, B, -1), centre, CFG)
        grads = derived_backward(p, inputs, grad.reshape(out.shape))
        for name, g in grads.items():
            norm = math.sqrt((g**2).sum())
            clipped.append(norm > limit)
            if norm > limit:
                grads[name] = g * limit / (norm + 1e-6)
        if i < frozen:
            del grads[LAST]
        hand.step(p, grads, lr, decay)
        q = {name: momentum * q[name] + (1 - momentum) * p[name] for name in q}
        centre = 0.9 * centre + 0.1 * targets.mean(0)

        assert float(parts.loss.detach()) == pytest.approx(loss, rel=1e-10)
        for model, expected in ((student, p), (teacher, q)):
            for name, value in arrays(model).items():
                assert value == pytest.approx(expected[name], abs=1e-9), (i, name)
        assert criterion.centre.numpy()[0] == pytest.approx(centre, abs=1e-12)
    assert 0.1 < np.mean(clipped) < 0.9
    assert hand.t[LAST] == steps - frozen


def test_rows_keep_norm_1_however_they_are_trained():
    head = network().head
    optimiser = torch.optim.AdamW(head.parameters(), lr=0.3, weight_decay=0.4)
    for step in range(20):
        optimiser.zero_grad()
        (head(noise(step, 5, D)) * noise(step, 5, CFG.out_dim)).sum().backward()
        optimiser.step()
        rows = head.last_layer(torch.eye(CFG.bottleneck_dim, dtype=torch.float64)).T
        assert torch.allclose(rows.norm(dim=1), torch.ones(CFG.out_dim, dtype=torch.float64))
    assert (head.last_layer.weight.norm(dim=1) - 1).abs().max() > 0.1


@pytest.mark.parametrize("out_dim", [2, 1000, 65536])
def test_collapse_is_seen_at_both_ends(out_dim):
    most = math.log(out_dim)
    for share in (0, COLLAPSE / 2):
        assert "every answer is a single output" in collapsed(share * most, out_dim)
        assert "all outputs alike" in collapsed((1 - share) * most, out_dim)
    assert "all outputs alike" in collapsed(most + 1e-6, out_dim)
    for share in (2 * COLLAPSE, 0.5, 1 - 2 * COLLAPSE):
        assert collapsed(share * most, out_dim) is None


def test_a_collapsed_teacher_is_seen_through_the_loss_and_an_untrained_one_is_none():
    cfg = DinoConfig(out_dim=64)
    sure, unsure = torch.eye(64)[5].repeat(8, 1), torch.full((8, 64), 0.3)
    new = DinoHead(D, cfg)(noise(0, 8, D).float())
    messages = [
        collapsed(float(DinoLoss(cfg)(x, x, 2).teacher_entropy), 64)
        for x in (sure, unsure, sure * math.nan, new)
    ]
    assert messages.pop() is None
    assert [text.split()[-1] for text in messages] == ["output", "alike", "finite"]


def test_a_loss_that_is_no_number_has_a_message():
    assert diverged(11.09) is None
    assert diverged(math.nan) == "the loss is nan"
    assert diverged(-math.inf) == "the loss is -inf"
