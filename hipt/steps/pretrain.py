"""Self-supervised pretraining by DINO: stage 1 on patches, stage 2 on grids of patch vectors."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from hipt.config.command_line import (
    add_device,
    add_reader,
    granted_of,
    read_settings,
    reader_of,
    step_parser,
)
from hipt.config.config import Reader
from hipt.config.step_settings import PretrainSettings
from hipt.embedding.devices import compute_device, device_name
from hipt.embedding.weights_files import write_weights
from hipt.layout import Results
from hipt.machine import ONE_GPU, Granted
from hipt.nn.dino.trainer import Step
from hipt.pretraining.corpus_list import corpus_digest, write_corpus_list
from hipt.pretraining.launch import is_launched, launch
from hipt.pretraining.processes import joined
from hipt.pretraining.stages import Stage, stage_of
from hipt.pretraining.training_loop import Training
from hipt.registry import version_of
from hipt.slides.direct import Opener
from hipt.store.schemas import METRICS
from hipt.store.tables import write_table

log = logging.getLogger(__name__)

STEP = "pretrain"


def run(
    name: str,
    out: Path,
    cfg: PretrainSettings,
    threads: int,
    granted: Granted = ONE_GPU,
    reader: Reader = "openslide",
) -> None:
    """Train a model, from its last checkpoint where there is one; the weights are written last.

    Args:
        name: `patches` or `regions`.
        out: the weights file.
        cfg: the settings.
        threads: threads to read with; on a CPU, `pretrain.cpu_threads` compute.
        granted: what to compute on.
        reader: who reads patches; it does not show in the weights.

    Raises:
        HiptError: if the corpus is empty, training fails, or the checkpoint is of another run.
        SystemExit: if a signal asked to stop, once the state is saved.
    """
    torch.set_num_threads(threads)
    with compute_device(granted) as device, joined(device) as process:
        where = f"{device_name(device)}, process {process.rank + 1} of {process.ranks}"
        log.info("training on %s", where)
        stage = stage_of(name, cfg, Results(out.parents[1]), threads, Opener(reader))
        if device.type == "cpu":
            torch.set_num_threads(cfg.pretrain.cpu_threads)
        training = Training(stage, out, process, version_of(STEP))
        model = training.run()
        if process.rank == 0:
            _write(out, stage, model, training.steps, _software(device, training.precision))
            training.checkpoint.unlink(missing_ok=True)


def _write(
    out: Path, stage: Stage, model: nn.Module, steps: Sequence[Step], software: dict[str, str]
) -> None:
    """Corpus list and curves, then the weights."""
    write_corpus_list(out.with_suffix(".corpus.csv"), stage.members)
    curves = {name: [getattr(step, name) for step in steps] for name in Step._fields}
    curves = {"iteration": list(range(len(steps))), **curves}
    write_table(out.with_suffix(".metrics.parquet"), curves, METRICS)
    facts = {
        **stage.metadata(),
        "recipe": json.dumps(stage.recipe(), sort_keys=True),
        "corpus": corpus_digest(stage.members),
        "slides": str(len(stage.members)),
        "iterations": str(len(steps)),
        "loss": f"{steps[-1].loss:.6g}",
        "software": json.dumps(software, sort_keys=True),
    }
    write_weights(out, model.state_dict(), facts)


def _software(device: torch.device, precision: str) -> dict[str, str]:
    """What shows in the last bits of the weights beside recipe and corpus."""
    threads = {"threads": str(torch.get_num_threads())} if device.type == "cpu" else {}
    return {"torch": torch.__version__, "device": device.type, "precision": precision, **threads}


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the stage, the settings, the weights to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--stage", choices=("patches", "regions"), required=True)
    parser.add_argument("--threads", type=int, default=1, help="threads to read with")
    parser.add_argument("--processes", type=int, default=1, help="to train in, each on a GPU")
    add_reader(parser)
    add_device(parser)
    arguments = list(sys.argv[1:] if argv is None else argv)
    args = parser.parse_args(arguments)
    cfg = read_settings(STEP, PretrainSettings, args.cfg)
    if args.processes > 1 and not is_launched():
        launch(args.processes, granted_of(args), [STEP, *arguments])
    run(args.stage, args.out, cfg, args.threads, granted_of(args), reader_of(args))
