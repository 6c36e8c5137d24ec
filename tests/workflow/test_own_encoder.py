"""A network that the user wrote, beside the run: plan and jobs find it, and see when it changes."""

from __future__ import annotations

from pathlib import Path

from hipt.store.shard import read_provenance
from tests.workflow.project import TINY, Project
from tests.workflow.test_what_must_hold import per_batch

CODE = """
import torch
from torch import nn

class Means(nn.Module):
    dim, input_px, mean, std = 12, 32, (0.5, 0.5, 0.5), ({std}, 0.25, 0.25)

    def forward(self, x):
        return torch.cat([x.mean((2, 3)), x.amax((2, 3)), x.amin((2, 3)), x.std((2, 3))], 1)

def build():
    return Means()
"""


def test_code_beside_the_run_is_an_encoder(cohort: Project, tmp_path: Path):
    project = cohort.copy(tmp_path / "p")
    patches = {"encoder": "python:lab.nets:build"}
    project.configure(embed={"patches": patches, "regions": TINY["embed"]["regions"]})
    ran = project.run()
    assert ran.rc != 0
    assert "embed.patches.encoder: python:lab.nets:build: no module lab.nets in the" in ran.text
    code = project.folder / "lab" / "nets.py"
    code.parent.mkdir()
    code.write_text(CODE.format(std=0.25))
    ran = project.run()
    assert ran.rc == 0, ran.text
    first = read_provenance(project.results / "embed_patches" / "a.arrow")
    assert first.inputs["weights"].startswith("code:")
    assert "of own code: " in (project.results / "report.html").read_text()
    code.write_text(CODE.format(std=0.5))
    ran = project.run()
    assert ran.rc == 0, ran.text
    assert ran.jobs == per_batch(2, "embed_patches", "embed_regions"), ran.text
    second = read_provenance(project.results / "embed_patches" / "a.arrow")
    assert second.settings["std"] == [0.5, 0.25, 0.25]
    assert second.fingerprint != first.fingerprint
