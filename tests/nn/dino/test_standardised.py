"""The teacher's answers in units of their own spread."""

from __future__ import annotations

import math

import pytest
import torch

from hipt.nn.dino.loss import DinoLoss, collapsed
from tests.nn.dino.test_loss import CFG, B, derived_loss, noise


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_standardised_answers_equal_loops_however_small_their_spread(scale):
    cfg = CFG.model_copy(update={"standardise": True, "teacher_temp": 0.5})
    student, teacher = noise(0, 4 * B, CFG.out_dim), noise(1, 2 * B, CFG.out_dim)
    criterion = DinoLoss(cfg).double()
    criterion.update_centre(teacher)  # is kept, and not used
    parts = criterion(student, teacher * scale + 3, 4)
    rows = teacher.numpy()
    apart = rows - sum(rows) / (2 * B)
    apart /= math.sqrt(sum(x**2 for row in apart for x in row) / apart.size)
    views = student.numpy().reshape(4, B, -1)
    loss, entropy, _ = derived_loss(views, apart.reshape(2, B, -1), 0.0, cfg)
    assert float(parts.loss) == pytest.approx(loss, rel=1e-9)
    assert float(parts.teacher_entropy) == pytest.approx(entropy, rel=1e-9)


def test_standardised_answers_that_are_all_alike_are_seen_as_a_collapse():
    cfg = CFG.model_copy(update={"standardise": True})
    alike = torch.ones(2 * B, CFG.out_dim)
    parts = DinoLoss(cfg)(alike, alike, 2)
    assert collapsed(float(parts.teacher_entropy), CFG.out_dim) is not None
