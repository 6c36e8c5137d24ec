"""What happens when a real run starts, and never in a dry run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hipt.cohort.ledger import write_ledger
from hipt.config.step_settings import shortened
from hipt.embedding.weights_identity import remember_sha256
from hipt.errors import HiptError
from hipt.heatmaps.chosen import write_mapped
from hipt.planning.plan import Plan

CHECKOUT = Path(__file__).parents[2]


def remember(plan: Plan) -> None:
    """Write down what jobs and later runs have to find; nothing where nothing changed."""
    write_ledger(plan.results.batches, plan.ledger)
    remember_sha256(plan.results.digests)
    if plan.mapped:
        write_mapped(
            plan.results.mapped, [name for names in plan.mapped.values() for name in names]
        )


def load_weights(plan: Plan) -> None:
    """Load the weights in a process of its own, before hours are spent on slides.

    Raises:
        HiptError: if one of them is damaged, or of another architecture.
    """
    patches, regions = plan.config.embed.patches, plan.config.embed.regions
    if not patches.weights and not regions.weights and patches.encoder == "hipt":
        return
    config = shortened(plan.written).model_dump_json()
    done = subprocess.run(
        [sys.executable, "-m", "hipt", "check", "--weights", "--cfg", config],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HiptError(done.stderr.strip())
