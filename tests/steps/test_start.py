"""What a step loads before it works: torch takes seconds, and segment and tile never need it; timm
takes as long again, and only its own models need it. Scores and figures have libraries of their own
that no slide needs."""

from __future__ import annotations

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


@pytest.mark.parametrize(
    "module",
    [
        *(f"steps.{step}" for step in ("segment", "tile", "embed_patches", "embed_regions")),
        *("steps.pretrain", "steps.slides", "steps.split", "tasks.beforehand"),
    ],
)
def test_libraries_of_scores_and_figures_are_not_loaded(module: str):
    code = f"import hipt.{module}, sys\n"
    code += "print(sorted({'sklearn', 'matplotlib', 'pandas', 'scipy.stats'} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("step", ["embed_patches", "embed_regions", "pretrain", "fit", "attend"])
def test_timm_is_not_loaded_for_our_own_networks(step: str):
    code = f"import hipt.steps.{step}, sys\n"
    code += "from hipt.config.config import PatchEncoderConfig\n"
    code += "from hipt.embedding.weights_files import load_patch_encoder\n"
    code += "load_patch_encoder(PatchEncoderConfig(random=1))\n"
    code += "print(sorted({'timm', 'torchvision', 'torch._dynamo'} & set(sys.modules)))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
