import numpy as np

from hipt.demo.stain import SITES, UNIT, Stain

STAIN = Stain((0.5, 0.6, 0.3), (0.05, 0.4, 0.2), (240.0, 238.0, 244.0))


def test_colours_follow_beer_and_lambert():
    table = STAIN.table().reshape(256, 256, 3)

    h, e = 100, 30
    density = h / UNIT * np.array(STAIN.haematoxylin) + e / UNIT * np.array(STAIN.eosin)
    np.testing.assert_allclose(table[h, e], STAIN.white * 10**-density, atol=0.5)
    np.testing.assert_array_equal(table[0, 0], STAIN.white)
    assert (np.diff(table.astype(int), axis=0) <= 0).all()
    assert (np.diff(table.astype(int), axis=1) <= 0).all()


def test_another_day_changes_strength_and_not_hue():
    varied = STAIN.varied(np.random.default_rng(3))

    for dye, before in ((varied.haematoxylin, STAIN.haematoxylin), (varied.eosin, STAIN.eosin)):
        factors = np.divide(dye, before)
        assert np.ptp(factors) < 1e-12
        assert 0.94 <= factors[0] <= 1.06
        assert factors[0] != 1
    assert varied.white == STAIN.white


def test_the_sites_differ_in_both_dyes_and_in_white():
    for part in ("haematoxylin", "eosin", "white"):
        assert len({getattr(stain, part) for stain in SITES.values()}) == len(SITES) == 3
