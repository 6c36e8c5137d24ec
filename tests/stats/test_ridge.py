"""Ridge regression on classes: scikit-learn's, on either side of as many numbers as items."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import RidgeClassifier

from hipt.stats.linear import Scale
from hipt.stats.ridge import RidgePath

RNG = np.random.default_rng(0)
PENALTIES = (1e-3, 0.1, 30.0)


def drawn(items: int, numbers: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    y = np.concatenate([np.arange(classes), RNG.integers(classes, size=items - classes)])
    return 5 + 3 * RNG.normal(size=(items, numbers)) + np.eye(numbers)[y], y


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("items", "numbers"), [(90, 7), (30, 80)])
def test_each_penalty_is_scikit_learns_model(items: int, numbers: int, classes: int):
    x, y = drawn(items, numbers, classes)
    path, scaled = RidgePath.fit(x, y, classes, PENALTIES), Scale.of(x)(x)
    fresh = 5 + 3 * RNG.normal(size=(200, numbers))
    for place, penalty in enumerate(PENALTIES):
        model = RidgeClassifier(alpha=penalty * items, class_weight="balanced").fit(scaled, y)
        coefficients, intercept = model.coef_, model.intercept_
        if classes == 2:  # scikit-learn has the second class's column alone
            coefficients, intercept = np.vstack([-coefficients, coefficients]), [-1, 1] * intercept
        np.testing.assert_allclose(path.weights[place].T, coefficients, atol=1e-7)
        np.testing.assert_allclose(path.bias[place], intercept, atol=1e-7)
        np.testing.assert_array_equal(path(fresh)[place], model.predict(Scale.of(x)(fresh)))


def test_the_scale_of_a_column_and_float32_change_no_answer():
    x, y = drawn(60, 5, 3)
    answers = RidgePath.fit(x, y, 3, PENALTIES)(x)
    moved = x * [1, 100, 0.01, 1, 7] + [0, 3, -8, 1, 0]
    np.testing.assert_array_equal(RidgePath.fit(moved, y, 3, PENALTIES)(moved), answers)
    x = np.float32(x)
    np.testing.assert_array_equal(RidgePath.fit(x, y, 3, PENALTIES)(x), answers)


def test_a_class_that_nobody_has_is_never_the_answer():
    x, y = drawn(40, 3, 2)
    path = RidgePath.fit(x, 2 * y, 4, PENALTIES)
    assert set(np.unique(path(100 * RNG.normal(size=(500, 3))))) == {0, 2}
    alone = RidgePath.fit(x, np.full(40, 3), 4, PENALTIES)
    assert (alone(x) == 3).all()


def test_rounding_decides_nothing():
    """Each item is there under both classes: neither has more to say, in whatever order."""
    x = RNG.normal(size=(40, 6))
    both, y = np.concatenate([x, x]), np.repeat([0, 1], 40)
    for _ in range(20):
        order = RNG.permutation(80)
        assert not RidgePath.fit(both[order], y[order], 2, PENALTIES)(x).any()


def test_constant_columns_and_no_items_give_numbers():
    x, y = drawn(20, 3, 2)
    with_constant = np.column_stack([x, np.full(20, 7.0)])
    without = RidgePath.fit(x, y, 2, PENALTIES)(x)
    np.testing.assert_array_equal(
        RidgePath.fit(with_constant, y, 2, PENALTIES)(with_constant), without
    )
    assert not RidgePath.fit(x[:0], y[:0], 2, PENALTIES)(x).any()
