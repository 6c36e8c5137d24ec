"""Layers of a slide's maps: where each stands in the page's list."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from hipt.heatmaps.table import SlideMaps
from hipt.view.maps import layers


def groups(heads: int, *names: str) -> dict[str, str]:
    values = np.zeros(2, np.float32)
    attention = np.zeros((2, heads), np.float32)
    slide = SlideMaps("a", pa.table({}), attention, dict.fromkeys(names, values), {})
    return {layer["name"]: layer["group"] for layer in layers(slide)}


def test_maps_stand_with_what_they_are_of():
    assert groups(2, "attention", "grade.abmil.region") == {
        "head 0": "stage 2 heads",
        "head 1": "stage 2 heads",
        "attention": "stage 2",
        "grade.abmil.region": "grade",
    }


def test_components_are_of_patch_vectors_and_not_of_a_stage_2_that_is_not_there():
    assert groups(0, "component1", "component2") == {
        "component1": "patch vectors",
        "component2": "patch vectors",
    }
