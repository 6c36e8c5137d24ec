"""Models that are trained here: where they lie, and the config with their paths in it."""

from __future__ import annotations

from pathlib import Path

from hipt.config.config import Config
from hipt.config.trained import resolved, trained


def config(patches: dict[str, object], regions: dict[str, object]) -> Config:
    embed = {"patches": patches, "regions": regions}
    return Config.model_validate({"results": "out", "embed": embed})


def test_only_what_says_pretrain_is_trained():
    both = config({"weights": "pretrain"}, {"weights": "pretrain"})
    models = Path("out") / "models"
    assert trained(both) == {
        "patches": models / "vit256.safetensors",
        "regions": models / "vit4096.safetensors",
    }
    assert trained(config({"random": 1}, {"weights": "pretrain"})).keys() == {"regions"}
    for weights in ("a.pth", "pretrain.pth", "pretrained", None):
        assert trained(config({"weights": weights}, {"random": 1})) == {}


def test_a_resolved_config_has_paths_and_is_else_the_same():
    given = config({"weights": "pretrain", "max_unreadable": 0.5}, {"weights": "a.pth"})
    made = resolved(given)
    assert made.embed.patches.weights == str(Path("out") / "models" / "vit256.safetensors")
    put_back = made.embed.patches.model_copy(update={"weights": "pretrain"})
    embed = made.embed.model_copy(update={"patches": put_back})
    assert made.model_copy(update={"embed": embed}) == given
    assert trained(made) == {}
    assert resolved(made) == made


def test_a_path_is_no_setting_of_the_other_stage():
    given = config({"random": 1}, {"weights": "pretrain"})
    assert resolved(given).embed.patches == given.embed.patches
