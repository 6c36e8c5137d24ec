import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from hipt.demo.noise import scatter, smooth, smoothstep, texture


@settings(max_examples=15)
@given(
    seed=st.integers(0, 999),
    size=st.tuples(st.floats(60, 400), st.floats(60, 400)),
    spacing=st.floats(14, 40),
    jitter=st.floats(0, 0.2),
)
def test_scattered_points_fill_the_size_and_keep_apart(seed, size, spacing, jitter):
    points = scatter(np.random.default_rng(seed), size, spacing, jitter)

    assert ((points >= 0) & (points < size)).all()
    assert pdist(points).min() >= spacing * (1 - 2 * np.sqrt(2) * jitter) - 1e-9
    # a hexagonal lattice has one point per sqrt(3)/2 spacing^2, give or take its rim
    expected, rim = size[0] * size[1] / (0.75**0.5 * spacing**2), sum(size) / spacing
    assert abs(len(points) - expected) < 2 * rim + 4


def test_smooth_noise_varies_over_its_scale():
    field = smooth(np.random.default_rng(1), (900, 1100), 40)

    def likeness(step):
        return np.corrcoef(field[:, :-step].ravel(), field[:, step:].ravel())[0, 1]

    assert field.shape == (900, 1100)
    assert abs(field.mean()) < 0.15
    assert 0.8 < field.std() < 1.2
    assert likeness(5) > 0.9
    assert abs(likeness(120)) < 0.15


def test_a_texture_continues_at_its_edges():
    field = texture(np.random.default_rng(2), 256, (3.0, 9.0))

    def step(a, b):
        return np.abs(a - b).mean()

    assert field.mean() == pytest.approx(0, abs=1e-5)
    assert field.std() == pytest.approx(1, abs=1e-5)
    assert step(field[0], field[-1]) < 1.5 * step(field[100], field[101])
    assert step(field[:, 0], field[:, -1]) < 1.5 * step(field[:, 100], field[:, 101])
    assert step(field[:, 100], field[:, 101]) < 0.5 * step(field[100], field[101])


def test_smoothstep_rises_from_0_to_1():
    values = smoothstep(np.array([-1.0, 2.0, 3.0, 4.0, 9.0]), 2.0, 4.0)

    np.testing.assert_allclose(values, [0, 0, 0.5, 1, 1])
