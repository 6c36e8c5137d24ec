"""The head's last layer in fp32, where the network around it computes in bf16."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from hipt.config.pretraining import DinoConfig
from hipt.nn.dino.loss import DinoHead

CFG = DinoConfig(out_dim=64, hidden_dim=32, bottleneck_dim=16)


def test_the_last_layer_is_exact_under_autocast():
    """In bf16 a cosine of 0.9 is off by up to 0.002, which a temperature of 0.04 makes 0.05."""
    head = DinoHead(24, CFG)
    x = torch.randn(64, 24, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        directions = F.normalize(head.last_layer.weight, dim=1)
        with torch.autocast("cpu", torch.bfloat16):
            out = head(x)
            vectors = F.normalize(head.mlp(x).float(), dim=-1)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, vectors @ directions.T, rtol=0, atol=1e-6)
    rounded = vectors.bfloat16() @ directions.bfloat16().T
    assert float((rounded.float() - out).abs().max()) / CFG.teacher_temp > 0.02
