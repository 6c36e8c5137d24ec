"""A step's settings from its command line: the JSON that its rule hands on, or a config file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TypeVar, cast, get_args

import yaml

from hipt.config.config import (
    Config,
    Device,
    EngineSetting,
    Reader,
)
from hipt.config.section import Section, parse
from hipt.config.step_settings import settings, task_settings
from hipt.config.trained import resolved
from hipt.errors import HiptError
from hipt.machine import Granted

S = TypeVar("S", bound=Section)

MOST_KEYS = 10_000
"""Of one mapping: `<<` of mappings that hold `<<` can multiply keys without end."""


class _Loader(yaml.SafeLoader):
    """YAML's plain values, with a bound to what `<<` brings in."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Bring in the keys of `<<`."""
        super().flatten_mapping(node)
        if len(node.value) > MOST_KEYS:
            raise yaml.YAMLError(f"a mapping has more than {MOST_KEYS:,} keys")


def whole_config(text: str) -> Config:
    """The config from a command line: a file's path, or the config itself as JSON.

    Raises:
        HiptError: as `read_config`.
    """
    if text.lstrip().startswith("{"):
        return parse_json(Config, text, "config")
    return read_config(Path(text))


def step_parser(step: str, description: str | None) -> argparse.ArgumentParser:
    """The arguments that every step has: its settings and its output."""
    parser = argparse.ArgumentParser(prog=f"hipt {step}", description=description)
    parser.add_argument("--cfg", required=True, help="a config file, or the settings as JSON")
    parser.add_argument("--out", type=Path, required=True, help="the file to make")
    return parser


def add_reader(parser: argparse.ArgumentParser) -> None:
    """The argument of steps that read patches.

    It is no setting among the others: pixels are the same whoever reads them, so that another
    reader makes nothing anew.
    """
    names = get_args(Reader)
    parser.add_argument("--reader", choices=names, help="who reads patches, see slides.reader")


def add_device(parser: argparse.ArgumentParser) -> None:
    """The arguments of steps that may compute on a GPU; no settings, as `add_reader` says."""
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that the job was given")
    parser.add_argument("--device", choices=get_args(Device), help="see device in the config")


def granted_of(args: argparse.Namespace) -> Granted:
    """What to compute on: as the arguments say, else the config file, else the default.

    Raises:
        HiptError: as `read_config`.
    """
    return Granted(args.gpus, cast(Device, args.device or _config_of(args).device))


def reader_of(args: argparse.Namespace) -> Reader:
    """Who is to read patches: as the argument says, else the config file, else the default.

    Raises:
        HiptError: as `read_config`.
    """
    return cast(Reader, args.reader or _config_of(args).slides.reader)


def add_engine(parser: argparse.ArgumentParser) -> None:
    """The argument of steps that embed; no setting, as `add_reader` says."""
    names = get_args(EngineSetting)
    parser.add_argument("--engine", choices=names, help="what computes, see embed.engine")


def engine_of(args: argparse.Namespace) -> EngineSetting:
    """What is to compute vectors: as the argument says, else the config file, else the default.

    Raises:
        HiptError: as `read_config`.
    """
    return cast(EngineSetting, args.engine or _config_of(args).embed.engine)


def _config_of(args: argparse.Namespace) -> Config:
    """The config file that a person names; the defaults where the workflow gives a step's settings.

    Raises:
        HiptError: as `read_config`.
    """
    return Config() if args.cfg.lstrip().startswith("{") else read_config(Path(args.cfg))


def read_settings(step: str, cls: type[S], text: str) -> S:
    """A step's settings.

    Args:
        step: the step's name.
        cls: the class of its settings.
        text: a JSON object, or the path of a config file.

    Raises:
        HiptError: if it is not JSON, or naming the key that is wrong.
    """
    if text.lstrip().startswith("{"):
        return parse_json(cls, text, f"settings of {step}")
    parsed = settings(step, resolved(read_config(Path(text))))
    assert isinstance(parsed, cls)
    return parsed


def read_task_settings(step: str, cls: type[S], text: str, task: str | None) -> S:
    """The settings of a step of a task.

    Args:
        step: the step's name.
        cls: the class of its settings.
        text: a JSON object, or the path of a config file.
        task: the task's name, needed with a config file.

    Raises:
        HiptError: as `read_settings`, or if the config has no such task.
    """
    if text.lstrip().startswith("{"):
        return read_settings(step, cls, text)
    config = resolved(read_config(Path(text)))
    if task not in config.tasks:
        known = ", ".join(config.tasks) or "none"
        raise HiptError(f"--task: {text} has no task '{task}' (found: {known})")
    parsed = task_settings(step, config, task)
    assert isinstance(parsed, cls)
    return parsed


def parse_json(cls: type[S], text: str, source: str) -> S:
    """A section from a JSON text; `source` says in sentences where it comes from.

    Raises:
        HiptError: if it is not JSON, or naming the key that is wrong.
    """
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise HiptError(f"{source}: not readable as JSON: {error}") from None
    return parse(cls, values, source)


def read_config(path: Path) -> Config:
    """The config of a YAML file; what it leaves out has its default.

    Raises:
        HiptError: if there is no such file, it is no YAML, or a key is wrong.
    """
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise HiptError(f"{path}: no such config file") from None
    except (OSError, yaml.YAMLError, RecursionError, ArithmeticError, AttributeError, LookupError,
            TypeError, ValueError) as error:  # fmt: skip
        # YAML's own kinds of values (dates, !!int) end in errors of Python's
        raise HiptError(f"{path}: not readable as YAML: {error}") from None
    return parse(Config, values, str(path))
