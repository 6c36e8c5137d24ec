"""Principal components of a slide's patches: scikit-learn's, without glass, of one sign."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.decomposition import PCA

from hipt.heatmaps import components
from hipt.heatmaps.components import principal_components
from hipt.heatmaps.table import COMPONENTS


def cloud(n: int, seed: int = 0) -> torch.Tensor:
    """(n, 6) with three directions that differ in spread."""
    made = torch.randn(n, 6, generator=torch.manual_seed(seed))
    return made * torch.tensor([5.0, 3.0, 2.0, 0.1, 0.1, 0.1]) + 7


def test_the_maps_are_scikit_learns():
    vectors, glass = cloud(200), torch.arange(200) % 4 == 0
    vectors[glass] += 1000  # what does not count has no say
    maps = principal_components(vectors, (~glass).float() * 0.3)
    expected = PCA(3).fit_transform(vectors[~glass].double().numpy())  # (N, 3)
    for name, along in zip(COMPONENTS, expected.T, strict=True):
        got = maps[name][~glass.numpy()]
        np.testing.assert_allclose(np.abs(got), np.abs(along), atol=1e-3)
        assert abs(np.corrcoef(got, along)[0, 1]) > 0.9999
        assert (maps[name][glass.numpy()] == 0).all()


def test_a_mirrored_slide_has_mirrored_maps_and_no_other_sign():
    vectors, counts = cloud(50), torch.ones(50)
    first = principal_components(vectors, counts)
    second = principal_components(vectors.flip(0), counts)
    for name in COMPONENTS:
        np.testing.assert_allclose(first[name], second[name][::-1], atol=1e-4)


def test_patches_count_by_their_tissue():
    vectors = torch.cat([cloud(40), cloud(40, 1) * 2])
    doubled = torch.cat([vectors[:40], vectors[:40], vectors[40:]])
    counts = torch.cat([torch.full((40,), 2.0), torch.ones(40)])
    by_weight = principal_components(vectors, counts)
    twice = principal_components(doubled, torch.ones(120))
    for name in COMPONENTS:
        np.testing.assert_allclose(by_weight[name][:40], twice[name][:40], atol=1e-3)


def test_large_slides_are_thinned_and_small_ones_go_through(monkeypatch):
    vectors, counts = cloud(900), torch.ones(900)
    whole = principal_components(vectors, counts)
    monkeypatch.setattr(components, "MOST", 300)
    thinned = principal_components(vectors, counts)
    for name in COMPONENTS:
        assert abs(np.corrcoef(whole[name], thinned[name])[0, 1]) > 0.98
    alone = principal_components(vectors[:1], counts[:1])
    assert [alone[name].tolist() for name in COMPONENTS] == [[0.0]] * 3
    narrow = principal_components(vectors[:, :2], counts)
    assert not narrow["component3"].any()
