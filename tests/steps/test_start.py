"""What a step loads before it works: torch takes seconds, and segment and tile never need it; timm
takes as long again, and only its own models need it. Scores and figures have libraries of their own
that no slide needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hipt.config.config import Config
from hipt.config.step_settings import settings
from hipt.store.schemas import INDICES
from hipt.store.tables import read_table
from tests.slidemaker import tissue_picture, write_slide
from tests.steps.conftest import Chain

ROOT = Path(__file__).parents[2]

RUN = """
import sys
from hipt.__main__ import main
code = main(sys.argv[1:])
heavy = {name for name in sys.modules if name.partition(".")[0] in ("torch", "timm", "torchvision")}
assert not heavy, sorted(heavy)[:5]
sys.exit(code)
"""


@pytest.mark.parametrize("step", ["segment", "tile"])
def test_torch_is_not_loaded(chain: Chain, step: str):
    write_slide(chain.folder / "a.svs", tissue_picture(1024, 768))
    chain.sheet("slide_id,path\na,a.svs\n")
    before = {"segment": [], "tile": ["--segment", str(chain.results.index("segment", "b0000"))]}
    if step == "tile":
        chain.call("segment")
    cfg = settings(step, Config.model_validate(chain.values)).model_dump_json()
    out = chain.results.index(step, "b0000")
    arguments = [step, *before[step], "--cfg", cfg, "--out", str(out)]
    command = [sys.executable, "-c", RUN, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_table(out, INDICES[step]).to_pylist()[0]["status"] == "ok"


IMPORTS = """
import importlib, json, sys
modules, unwanted = map(json.loads, sys.argv[1:])
loaded = {}
for name in modules:
    importlib.import_module(name)
    if name.endswith(".weights_files"):
        from hipt.config.config import PatchEncoderConfig
        sys.modules[name].load_patch_encoder(PatchEncoderConfig(random=1))
    loaded[name] = sorted(set(unwanted) & set(sys.modules))
print(json.dumps(loaded))
"""


def loaded(modules: list[str], unwanted: list[str]) -> dict[str, list[str]]:
    """What of the unwanted is loaded once a process has imported modules, one after the other."""
    command = [sys.executable, "-c", IMPORTS, json.dumps(modules), json.dumps(unwanted)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_torch_is_not_loaded_for_tables_and_the_plan():
    steps = ("slides", "split", "evaluate", "knn", "agreement", "report", "retrain")
    modules = ["hipt.tasks.beforehand", *(f"hipt.steps.{step}" for step in steps)]
    assert loaded(modules, ["torch"]) == {name: [] for name in modules}


def test_libraries_of_scores_and_figures_are_not_loaded():
    steps = ("segment", "tile", "embed_patches", "embed_regions", "pretrain", "slides", "split")
    modules = ["hipt.tasks.beforehand", *(f"hipt.steps.{step}" for step in steps)]
    unwanted = ["sklearn", "matplotlib", "pandas", "scipy.stats"]
    assert loaded(modules, unwanted) == {name: [] for name in modules}


def test_openvino_is_loaded_by_who_computes_with_it_alone():
    modules = [f"hipt.steps.{step}" for step in ("embed_patches", "embed_regions", "check", "fit")]
    unwanted = ["openvino", "openvino_telemetry"]
    assert loaded(modules, unwanted) == {name: [] for name in modules}


def test_timm_is_not_loaded_for_our_own_networks():
    steps = ("embed_patches", "embed_regions", "pretrain", "fit", "attend")
    modules = ["hipt.embedding.weights_files", *(f"hipt.steps.{step}" for step in steps)]
    unwanted = ["timm", "torchvision", "torch._dynamo"]
    assert loaded(modules, unwanted) == {name: [] for name in modules}
