"""The registry of steps agrees with the modules, the rules, the schemas and the documents."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hipt.registry import COMMANDS, EVERY_SLIDE, SHARDED, STEPS, version_of
from hipt.store.schemas import INDICES

ROOT = Path(__file__).parent.parent
RULES = {name: step for name, step in STEPS.items() if step.version}
RULE = re.compile(r"^ *(?:rule|checkpoint) (\w+):$.*?python -m hipt (\w+) ", re.M | re.S)


def test_commands_are_the_modules_of_their_folder():
    modules = {path.stem: path for path in (ROOT / "hipt" / "steps").glob("[a-z]*.py")}
    assert modules.keys() == COMMANDS.keys()
    assert all("\ndef main(argv" in path.read_text() for path in modules.values())


def test_rules_are_the_steps_that_make_results():
    texts = [path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk")]
    rules = {name: command for text in texts for name, command in RULE.findall(text)}
    assert rules == {name: step.command for name, step in RULES.items()}


def test_the_architecture_names_every_rule_and_what_its_results_are_of():
    page = (ROOT / "docs" / "architecture.md").read_text().partition("## ")[0]
    rows = [row.strip("|").split("|") for row in page.splitlines() if row.startswith("| `")]
    per = {cells[0].strip(" `"): re.split(r"[, ]", cells[-1].strip())[0] for cells in rows}
    assert per == {name: step.per for name, step in RULES.items()}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_reads_from_those_before_it(name: str):
    before = list(STEPS)[: list(STEPS).index(name)]
    assert set(STEPS[name].reads) <= {"batches", *before}


def test_rules_of_one_module_have_one_version():
    for step in STEPS.values():
        other = COMMANDS[step.command]
        assert (step.version, step.help, step.per) == (other.version, other.help, other.per)
        assert version_of(step.command) == step.version


def test_steps_that_work_on_slides_have_shards_and_indices():
    assert list(SHARDED) == [name for name, step in STEPS.items() if step.per == "slide"]
    assert set(SHARDED) == set(INDICES)
    assert EVERY_SLIDE == ("segment", "tile", "embed_patches", "embed_regions")


def test_what_reads_the_registry_first_is_quick():
    """`hipt --help` and the parse of the Snakefile load no third party for it."""
    code = "import sys, hipt.__main__, hipt.layout\n"
    code += "print({m.split('.')[0] for m in sys.modules} - sys.stdlib_module_names - {'__main__'})"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "{'hipt'}\n"
