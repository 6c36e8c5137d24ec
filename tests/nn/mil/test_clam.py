"""CLAM and the smooth SVM loss, in plain loops from their definitions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch

from hipt.nn.mil.clam import SAMPLES, smooth_svm
from tests.nn.mil.bagmaker import DIM, noise, small
from tests.nn.mil.test_hipt import linear, one
from tests.nn.mil.test_pooling import gated
from tests.nn.mil.test_single import embedded


def berrada(scores: list[float], y: int, k: int, tau: float) -> float:
    """The loss of Berrada et al. for any k: sums over all subsets of k classes."""
    every, right = 0.0, 0.0
    for subset in itertools.combinations(range(len(scores)), k):
        mean = sum(scores[j] for j in subset) / k
        every += math.exp(((y not in subset) + mean) / tau)
        if y in subset:
            right += math.exp(mean / tau)
    return tau * math.log(every) - tau * math.log(right)


@pytest.mark.parametrize("tau", [0.3, 1.0, 2.0])
@pytest.mark.parametrize("classes", [2, 5])
def test_smooth_svm_equals_the_sum_over_subsets(tau, classes):
    scores = noise(6, classes).double() * 3
    labels = torch.arange(6) % classes
    result = smooth_svm(scores, labels, tau)
    for s, y, loss in zip(scores.tolist(), labels.tolist(), result.tolist(), strict=True):
        assert loss == pytest.approx(berrada(s, y, 1, tau), rel=1e-12)


def test_smooth_svm_tends_to_the_hinge_loss():
    scores, labels = noise(20, 4).double(), torch.arange(20) % 4
    rivals = (scores + 1).scatter(1, labels[:, None], scores.gather(1, labels[:, None]))
    hinge = rivals.amax(1) - scores.gather(1, labels[:, None])[:, 0]
    assert torch.allclose(smooth_svm(scores, labels, 1e-3), hinge, atol=2e-3)


def test_smooth_svm_of_two_classes_is_a_softplus():
    scores = noise(5, 2) * 1e3
    result = smooth_svm(scores, torch.ones(5, dtype=torch.long))
    expected = torch.nn.functional.softplus(1 + scores[:, 0] - scores[:, 1])
    assert torch.allclose(result, expected, atol=1e-3)


@pytest.mark.parametrize("length", [1, 5, 8, 11, 16, 30])
@pytest.mark.parametrize("label", [0, 2])
def test_clam_equals_loops(length, label):
    model = small("clam_sb").double()
    state, features = model.state_dict(), noise(length, DIM, seed=length)
    with torch.no_grad():
        out = model(one(features), torch.tensor([label]))
        silent = model(one(features))
    pool = {k: v for k, v in state.items() if k.startswith("pool.")}
    x = embedded(state, features)
    pooled, weights = gated(pool, x, "pool.")
    np.testing.assert_allclose(out.logits[0], linear(state, "classifier", pooled), rtol=1e-10)
    np.testing.assert_allclose(out.attention[0], weights, rtol=1e-10)
    order = sorted(range(length), key=lambda i: weights[i])
    take = min(SAMPLES, length)
    losses = []
    for chosen, target in ((order[-take:], 1), (order[:take], 0)):
        for i in chosen:
            scores = linear(state, f"instances.{label}", x[i]).tolist()
            losses.append(berrada(scores, target, 1, 1.0))
    assert float(out.loss) == pytest.approx(0.3 * sum(losses) / len(losses), rel=1e-10)
    assert float(silent.loss) == 0
    assert torch.equal(silent.logits, out.logits)


def test_weights_of_both_losses_are_clams():
    """0.7 of the bags' loss and 0.3 of the instances'."""
    assert small("clam_sb").bag_weight == 0.7
    assert small("abmil").bag_weight == 1


def test_other_labels_judges_are_left_alone():
    model = small("clam_sb")
    batch = one(noise(20, DIM))
    model.double()(batch, torch.tensor([1])).loss.backward()
    grads = [float(judge.weight.grad.abs().max()) for judge in model.instances]
    assert grads[1] > 0
    assert grads[0] == grads[2] == 0
