"""Settings of encoders: what belongs together, and what one sentence says of the rest."""

from __future__ import annotations

import pytest
import yaml

from hipt.config.config import Config
from hipt.config.section import parse
from hipt.errors import HiptError

SENTENCES = {
    "embed: {patches: {mean: [0.5, 0.5, 0.5]}}": (
        "embed.patches: mean and std belong together; set both, or neither"
    ),
    "embed: {patches: {mean: [123.7, 116.3, 103.5], std: [0.2, 0.2, 0.2]}}": (
        "embed.patches.mean: must be less than or equal to 1, got 123.7"
    ),
    "embed: {patches: {input_px: 100}}": (
        "embed.patches: input_px (100) must be a whole number of 16 px cells for encoder: hipt"
    ),
    "attend: {cells: 2}\nembed: {patches: {input_px: 224}}": (
        "attend.cells: cells are shown of patches in their own size; set it to 0, or leave out "
        "embed.patches.input_px and resize_px"
    ),
    "embed: {patches: {random: 1, pooling: mean}}": (
        "embed.patches: pooling is for other networks: hipt gives its CLS token; leave it out"
    ),
    "embed: {patches: {encoder: test_vit, pooling: max}}": (
        "embed.patches.pooling: must be 'cls', 'mean' or 'cls+mean', got 'max'"
    ),
    "embed: {patches: {encoder: test_vit, input_px: 224, resize_px: 200}}": (
        "embed.patches: resize_px (200) must be at least input_px (224), which is cut from its "
        "centre"
    ),
    "embed: {patches: {resize_px: 256}}": (
        "embed.patches: resize_px is the side before input_px is cut from the centre; set input_px "
        "too"
    ),
    "attend: {cells: 2}\nembed: {patches: {input_px: 256, resize_px: 272}}": (
        "attend.cells: cells are shown of patches in their own size; set it to 0, or leave out "
        "embed.patches.input_px and resize_px"
    ),
    "embed: {patches: {encoder: 'python:my_module.build'}}": (
        "embed.patches: encoder: 'python:my_module.build' names no function; write "
        "python:MODULE:FUNCTION, e.g. python:my_package.my_module:build"
    ),
    "embed: {patches: {encoder: uni, weights: pretrain}}": (
        "embed.patches: weights: pretrain is for encoder: hipt; name a weights file for uni"
    ),
    "embed: {patches: {features: x, pooling: mean, encoder: uni}}": (
        "embed.patches: features are taken as they are, no model makes them; leave out weights, "
        "random, mean, std, input_px, resize_px, interpolation and pooling"
    ),
    "embed: {patches: {weights: pretrain, mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2]}}": (
        "embed.patches: weights: pretrain trains with mean and std of 0.5, and embeds with them; "
        "leave them out"
    ),
    "embed: {patches: {mean: [0.5], std: [0.2, 0.2, 0.2]}}": (
        "embed.patches.mean: has too few values, got [0.5]"
    ),
    "embed: {patches: {random: 1, encoder_args: {depth: 2}}}": (
        "embed.patches: encoder_args are for networks of timm; leave them out, or set encoder to "
        "one"
    ),
    "embed: {patches: {encoder: test_vit, encoder_args: {global_pool: None}}}": (
        "embed.patches.encoder_args: global_pool: 'None' is text here; write null, without quotes"
    ),
    "embed: {patches: {encoder: test_vit, encoder_args: {dynamic_img_size: 'False'}}}": (
        "embed.patches.encoder_args: dynamic_img_size: 'False' is text here; write false, without "
        "quotes"
    ),
    "embed: {regions: {random: 1, which: student}}": (
        "embed.regions: which: 'student' names a network of a weights file; name the file"
    ),
}


@pytest.mark.parametrize("text", SENTENCES)
def test_sentence(text: str):
    with pytest.raises(HiptError) as error:
        parse(Config, yaml.safe_load(text), "config/config.yaml")
    assert str(error.value).removeprefix("config/config.yaml: ") == SENTENCES[text]


def test_arguments_are_those_of_model_cards():
    """UNI2-h's, as a config file says them."""
    text = """
    encoder: vit_giant_patch14_224
    encoder_args: {img_size: [224, 224], init_values: 1.0e-5, mlp_layer: timm.layers.SwiGLUPacked,
        act_layer: torch.nn.SiLU, global_pool: "", num_classes: 0, reg_tokens: 8, qk_norm: null}
    mean: [0.485, 0.456, 0.406]
    std: [0.229, 0.224, 0.225]
    weights: pytorch_model.bin
    """
    config = parse(Config, {"embed": {"patches": yaml.safe_load(text)}}, "x")
    assert Config.model_validate_json(config.model_dump_json()) == config
    args = config.embed.patches.encoder_args
    assert (args["img_size"], args["init_values"], args["qk_norm"]) == ([224, 224], 1e-5, None)


def test_numbers_that_yaml_reads_as_text_are_numbers():
    """Model cards write init_values=1e-5, and YAML wants a point before the e."""
    text = "embed: {patches: {encoder: test_vit, encoder_args: {init_values: 1e-5, depth: '2'}}}"
    args = parse(Config, yaml.safe_load(text), "x").embed.patches.encoder_args
    assert args == {"init_values": 1e-5, "depth": 2}
    assert [type(value) for value in args.values()] == [float, int]
