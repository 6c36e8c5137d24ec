"""A step's settings, from its rule's JSON or from a config file."""

from __future__ import annotations

from pathlib import Path

import pytest

from hipt.config.command_line import read_config, read_settings, step_parser
from hipt.config.config import Config
from hipt.config.step_settings import SegmentSettings, TileSettings, settings
from hipt.errors import HiptError

ROOT = Path(__file__).parents[2]


def test_json_and_file_say_the_same(tmp_path: Path):
    path = tmp_path / "my config.yaml"
    path.write_text("mpp: 0.25\ntile: {min_tissue: 0.3}\n")
    from_file = read_settings("tile", TileSettings, str(path))
    assert (from_file.mpp, from_file.tile.min_tissue, from_file.tile.region_px) == (0.25, 0.3, 4096)
    for before in ("", " \n"):
        assert (
            read_settings("tile", TileSettings, before + from_file.model_dump_json()) == from_file
        )


@pytest.mark.parametrize("text", ["", "# nothing set\n", "{}"])
def test_what_a_config_leaves_out_has_its_default(tmp_path: Path, text: str):
    (tmp_path / "c.yaml").write_text(text)
    assert read_config(tmp_path / "c.yaml") == Config()


def test_the_config_that_is_shipped_can_be_read():
    config = read_config(ROOT / "config" / "config.yaml")
    path = str(ROOT / "config" / "config.yaml")
    assert read_settings("segment", SegmentSettings, path) == settings("segment", config)


BROKEN = {
    "unknown key": ("tile: {min_tisue: 1}", "unknown key 'tile.min_tisue'; did you mean"),
    "wrong value": ("mpp: fast", "mpp: must be a number, got 'fast'"),
    "list": ("- 1", "must be a mapping of keys to values, got"),
    "no YAML": ("a: [1\nb: 2", "not readable as YAML: while parsing"),
    "unsafe": ("a: !!python/object/apply:os.getcwd []", "not readable as YAML: could not"),
    "binary": (b"\xff\xfe\x00", "not readable as YAML: 'utf-8' codec"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_config_is_one_sentence_that_names_the_file(tmp_path: Path, name: str):
    content, sentence = BROKEN[name]
    path = tmp_path / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HiptError) as error:
        read_settings("tile", TileSettings, str(path))
    assert str(error.value).startswith(f"{path}: {sentence}")
    assert "\n" not in str(error.value)


def test_no_config_file_or_a_folder(tmp_path: Path):
    with pytest.raises(HiptError, match=r"none\.yaml: no such config file$"):
        read_config(tmp_path / "none.yaml")
    with pytest.raises(HiptError, match="not readable as YAML"):
        read_config(tmp_path)


FULL = '{"on_slide_error": "stop", "mpp": 0.5, "mpp_tolerance": 0.1, "tile": %s}'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"mpp": 0.5', "not readable as JSON: "),
        ("{mpp: 0.5}", "not readable as JSON: "),
        ('{"on_slide_error": "stop"}', "mpp: is missing; set it"),
        (FULL % '{"patch": 1}', "unknown key 'tile.patch'; did you mean 'patch_px'?"),
    ],
)
def test_broken_json_is_a_sentence_that_names_the_step(text: str, sentence: str):
    with pytest.raises(HiptError) as error:
        read_settings("tile", TileSettings, text)
    assert str(error.value).startswith(f"settings of tile: {sentence}")


def test_every_step_needs_settings_and_an_output(capsys: pytest.CaptureFixture[str]):
    args = step_parser("tile", "Cut.").parse_args(["--cfg", "{}", "--out", "a b.parquet"])
    assert (args.cfg, args.out) == ("{}", Path("a b.parquet"))
    with pytest.raises(SystemExit) as stop:
        step_parser("tile", "Cut.").parse_args(["--cfg", "{}"])
    assert stop.value.code == 2
    assert (
        "hipt tile: error: the following arguments are required: --out" in capsys.readouterr().err
    )
