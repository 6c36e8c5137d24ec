"""HIPT's slide level and its ablation, step by step for one bag."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from hipt.nn.mil import Bags, build
from tests.nn.mil.bagmaker import DIM, bags, noise, parts, small
from tests.nn.mil.test_pooling import gated
from tests.nn.mil.test_transformer import torchs_own


def linear(state: dict, name: str, x: np.ndarray) -> np.ndarray:
    return x @ state[f"{name}.weight"].numpy().T + state[f"{name}.bias"].numpy()


def one(features: torch.Tensor) -> Bags:
    """A batch of one bag in double precision."""
    return Bags(features.double()[None], torch.ones(1, len(features), dtype=torch.bool))


def test_hipt_is_what_the_table_says():
    model = small("hipt").double()
    state = model.state_dict()
    features = noise(7, DIM)
    with torch.no_grad():
        out = model(one(features))
        x = np.maximum(linear(state, "phi.0", features.double().numpy()), 0)
        encoder = torchs_own(model.layers, 12, 3, 12).double().eval()
        x = encoder(torch.from_numpy(x)[None])[0].numpy()
    pool = {k: v for k, v in state.items() if k.startswith("pool.")}
    pooled, weights = gated(pool, x, "pool.")
    logits = linear(state, "classifier", np.maximum(linear(state, "rho.0", pooled), 0))
    np.testing.assert_allclose(out.logits[0].numpy(), logits, rtol=1e-10)
    np.testing.assert_allclose(out.attention[0].numpy(), weights, rtol=1e-10)


def test_without_its_layer_hipt_wsi_is_abmil():
    model, plain = small("hipt_wsi"), small("abmil")
    plain.load_state_dict({k: v for k, v in model.state_dict().items() if "layer." not in k})
    batch = bags("abmil")
    assert not torch.allclose(model(batch).logits, plain(batch).logits, atol=1e-3)
    with torch.no_grad():
        model.layer.scale1.zero_()
        model.layer.scale2.zero_()
    assert torch.equal(model(batch).logits, plain(batch).logits)
    assert torch.equal(model(batch).attention, plain(batch).attention)


def test_hipt_wsi_starts_close_to_abmil_and_its_layer_learns_at_once():
    torch.manual_seed(0)
    model = build("hipt_wsi", DIM, 2, width=12)
    batch = bags("hipt_wsi")
    with torch.no_grad():
        x = model.embed(batch.features)
        moved = (model.layer(x, batch.mask) - x)[batch.mask]
    assert 0 < float(moved.std()) < 0.3 * float(x[batch.mask].std())
    model(batch).logits.square().sum().backward()
    assert all(float(p.grad.abs().max()) > 0 for p in model.layer.parameters())


def test_hipt_n_is_what_the_table_says():
    model = small("hipt_n").double()
    state = model.state_dict()
    features, *_ = parts("hipt_n", 5)
    with torch.no_grad():
        out = model(one(features))
    local = {k: v for k, v in state.items() if k.startswith("local_pool.")}
    regions = []
    for grid in features.double().numpy():
        patches = np.maximum(linear(state, "local_phi.0", grid), 0)
        regions.append(gated(local, patches, "local_pool.")[0])
    x = np.maximum(linear(state, "phi.0", np.array(regions)), 0)
    pool = {k: v for k, v in state.items() if k.startswith("pool.")}
    pooled, weights = gated(pool, x, "pool.")
    logits = linear(state, "classifier", np.maximum(linear(state, "rho.0", pooled), 0))
    np.testing.assert_allclose(out.logits[0].numpy(), logits, rtol=1e-10)
    np.testing.assert_allclose(out.attention[0].numpy(), weights, rtol=1e-10)


def test_grids_pass_vit4096_region_by_region():
    """Patch row * side + column lies in that row and column."""
    model, batch = small("hipt_finetuned"), bags("hipt_finetuned")
    out = model(batch)
    vectors = torch.zeros(*batch.mask.shape, 9)
    for b, m in torch.nonzero(batch.mask).tolist():
        grid = torch.zeros(1, DIM, 4, 4)
        for row in range(4):
            for column in range(4):
                grid[0, :, row, column] = batch.features[b, m, 4 * row + column]
        vectors[b, m] = model.stage2(grid)[0]
    expected = model.slide(Bags(vectors, batch.mask))
    assert torch.allclose(out.logits, expected.logits, atol=1e-5)
    assert torch.allclose(out.attention, expected.attention, atol=1e-5)


class Any192(nn.Module):
    """A stage 2 that does not say how wide its vectors are."""

    def forward(self, grids: torch.Tensor) -> torch.Tensor:
        return grids.mean((2, 3)).repeat(1, 16)


def test_any_module_serves_as_stage2():
    model = build("hipt_scratch", DIM, 2, stage2=Any192()).eval()
    assert model(bags("hipt_scratch")).logits.shape == (4, 2)


def test_a_grid_is_square():
    batch = Bags(noise(1, 2, 12, DIM), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(ValueError, match="12 patches are no square grid"):
        small("hipt_scratch")(batch)


def test_a_frozen_stage2_learns_nothing():
    model = small("hipt_finetuned")
    model.stage2.requires_grad_(False)
    model(bags("hipt_finetuned")).logits.sum().backward()
    assert all(p.grad is None for p in model.stage2.parameters())
    assert all(p.grad is not None for p in model.slide.parameters())
