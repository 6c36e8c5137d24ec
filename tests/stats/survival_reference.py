"""Survival tables beside the checkout and what other programs say of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest


def table(shared: Path, name: str) -> pd.DataFrame:
    path = shared / "tables" / name
    if not path.is_file():
        pytest.skip(f"no {path}")
    return pd.read_csv(path)


def expected(shared: Path, name: str) -> Any:
    path = shared / "tables" / "surv_reference.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    return json.loads(path.read_text())[name]


def random_cases(seed: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Times with ties, events (at least one) and risks with ties."""
    rng = np.random.default_rng(seed)
    time = rng.integers(1, rng.choice([6, 60]), n).astype(float)
    event = rng.random(n) < rng.choice([0.3, 0.8])
    event[rng.integers(n)] = True
    return time, event, rng.normal(size=n).round(rng.integers(0, 3))
