"""`embed.regions.pool: mean`: what needs stage 2 is refused, and other settings keep their text."""

from __future__ import annotations

from typing import Any

import pytest

from hipt.config.config import Config, RegionEncoderConfig
from hipt.config.section import parse
from hipt.errors import HiptError

CLASSES = {"kind": "classification", "label": "x"}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"embed": {"regions": {"pool": "mean", "random": 1}}}, "pool: mean takes no stage 2; lea"),
        ({"attend": {"cells": 1}}, "attend.cells: there is no stage 2 (embed.regions.pool: mean)"),
        ({"attend": {"shifts": 2}}, "attend.shifts: there is no stage 2"),
        (
            {
                "tasks": {
                    "t": {
                        "kind": "classification",
                        "label": "x",
                        "models": ["abmil", "hipt_finetuned"],
                    }
                }
            },
            "tasks.t.models: there is no stage 2 (embed.regions.pool: mean) that hipt_finetuned",
        ),
    ],
)
def test_without_stage_2_what_needs_it_is_refused(values: dict[str, Any], sentence: str):
    with pytest.raises(HiptError) as error:
        parse(Config, {"embed": {"regions": {"pool": "mean"}}} | values, "c")
    assert sentence in str(error.value)


def test_settings_without_pool_have_the_text_of_before_it_was_there():
    text = RegionEncoderConfig().model_dump_json()
    assert text == '{"shape":"released","weights":null,"which":null,"random":null}'
    mean = RegionEncoderConfig(pool="mean")
    assert RegionEncoderConfig.model_validate_json(mean.model_dump_json()) == mean
