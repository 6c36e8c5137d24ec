import numpy as np

from hipt.demo.artefacts import dust, fold, pen

WHITE = (240.0, 240.0, 240.0)


def picture(value=230):
    return np.full((600, 800, 3), value, np.uint8)


def test_dust_darkens_a_few_spots_of_glass():
    glass = picture()

    dust(glass, 0.5, 12, np.random.default_rng(1))

    touched = (glass < 228).any(axis=2).mean()
    assert 0.0005 < touched < 0.1
    assert glass.max() == 230
    assert np.ptp(glass[glass.min(axis=2) < 200].astype(int), axis=1).max() <= 1  # grey


def test_a_pen_mark_is_saturated_and_covers_one_corner():
    tissue = picture()

    pen(tissue, 0.5, np.random.default_rng(2))

    colours = tissue.astype(int)
    marked = np.ptp(colours, axis=2) > 60
    assert 0.02 < marked.mean() < 0.3
    assert not marked[300:].any()
    assert not marked[:, 400:].any()
    assert (colours[marked][:, 0] < colours[marked][:, 1:].max(axis=1)).all()  # green or blue


def test_a_fold_squares_what_tissue_lets_through():
    tissue = picture(120)

    fold(tissue, WHITE, 0.5, np.random.default_rng(3))

    assert np.isclose(tissue, 120 * 120 / 240, atol=1).any(axis=1).all()  # in every row
    assert 0.05 < (tissue < 119).mean() < 0.5


def test_a_fold_leaves_glass_alone():
    glass = picture(240)

    fold(glass, WHITE, 0.5, np.random.default_rng(3))

    assert (glass == 240).all()
