"""The defaults of pretraining are the published numbers; what cannot be is said."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from hipt.config.pretraining import (
    DinoConfig,
    GridViewsConfig,
    PatchViewsConfig,
    PretrainConfig,
    PretrainPatchesConfig,
    RegionsDinoConfig,
)

DINO = {
    **{"batch": 256, "seed": 0, "out_dim": 65536, "hidden_dim": 2048, "bottleneck_dim": 256},
    **{"teacher_temp": 0.04, "standardise": False, "student_temp": 0.1, "centre_momentum": 0.9},
    **{"teacher_momentum": 0.996, "lr": 5e-4, "min_lr": 1e-6, "weight_decay": 0.04},
    **{"weight_decay_end": 0.4, "clip": 3.0, "frozen_iterations": None, "drop_path": 0.1},
}
LENGTHS = {"iterations", "warmup_iterations", "checkpoint_every"}


def test_dino():
    assert DinoConfig().model_dump(exclude=LENGTHS) == DINO
    assert RegionsDinoConfig().model_dump(exclude=LENGTHS) == DINO | {"masked": 0.0}


def test_lengths_of_both_stages():
    cfg = PretrainConfig()
    assert (cfg.patches.dino.iterations, cfg.patches.dino.warmup_iterations) == (400_000, 40_000)
    assert (cfg.regions.dino.iterations, cfg.regions.dino.warmup_iterations) == (200_000, 20_000)
    assert cfg.patches.dino.batch == cfg.regions.dino.batch == 256


def test_views_of_a_patch():
    assert PatchViewsConfig().model_dump() == {
        **{"global_px": 224, "local_px": 96, "local_crops": 8},
        **{"global_scale": (0.4, 1.0), "local_scale": (0.05, 0.4), "flip": 0.5, "rotate": False},
        **{"jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1},
        **{"grayscale": 0.2, "blur": (1.0, 0.1, 0.5), "blur_sigma": (0.1, 2.0), "solarise": 0.2},
    }


def test_views_of_a_region():
    assert GridViewsConfig().model_dump() == {
        **{"global_side": 14, "local_side": 6, "local_crops": 8, "flip": 0.5},
        **{"rotate": False, "dropout": 0.1, "swap_means": False},
    }


def test_one_changed_key_leaves_the_others_of_its_stage():
    cfg = PretrainConfig.model_validate({"regions": {"dino": {"lr": 1e-4}}})
    assert cfg.regions.dino == RegionsDinoConfig(lr=1e-4)
    assert cfg.regions.dino.iterations == 200_000


@pytest.mark.parametrize(
    ("views", "sentence"),
    [
        ({"global_scale": (1.0, 0.4)}, r"global_scale: the first \(1.0\) must not exceed"),
        ({"local_scale": (0.3, 0.2)}, "local_scale: the first"),
        ({"blur_sigma": (2.0, 0.1)}, "blur_sigma: the first"),
        ({"global_px": 230}, r"global_px \(230\) must be a multiple of 16"),
        ({"local_px": 90}, r"local_px \(90\) must be a multiple of 16"),
    ],
)
def test_views_that_cannot_be_are_refused(views: dict[str, object], sentence: str):
    with pytest.raises(ValidationError, match=sentence):
        PretrainPatchesConfig.model_validate({"views": views})


def test_a_network_to_start_from_keeps_its_positions():
    PretrainConfig.model_validate({"regions": {"init": "w.pth"}})
    with pytest.raises(ValidationError, match="init has its own, leave it out"):
        PretrainConfig.model_validate({"regions": {"init": "w.pth", "positions": "sines"}})


def test_a_temperature_of_cosines_is_refused_where_answers_are_standardised():
    for stage in ("patches", "regions"):
        with pytest.raises(ValidationError, match=r"teacher_temp \(0\.04\) counts in the spread"):
            PretrainConfig.model_validate({stage: {"dino": {"standardise": True}}})
        PretrainConfig.model_validate({stage: {"dino": {"standardise": True, "teacher_temp": 0.5}}})
