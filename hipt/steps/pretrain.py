"""Self-supervised pretraining by DINO: stage 1 on patches, stage 2 on grids of patch vectors."""

from __future__ import annotations

import json
import logging
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

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
from hipt.embedding.devices import choose_precision, compute_device, device_name
from hipt.embedding.weights_files import write_weights
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.machine import ONE_GPU, Granted
from hipt.nn.dino.loss import collapsed, diverged
from hipt.nn.dino.trainer import Step, Trainer, step_seed
from hipt.pretraining.corpus_list import corpus_digest, write_corpus_list
from hipt.pretraining.launch import is_launched, launch
from hipt.pretraining.stages import Stage, stage_of
from hipt.pretraining.state import StopAsked, read_state, write_state
from hipt.progress import Progress
from hipt.registry import version_of
from hipt.slides.direct import Opener
from hipt.store.schemas import METRICS
from hipt.store.tables import write_table

log = logging.getLogger(__name__)

STEP = "pretrain"

WATCHED = 50
"""Steps over whose mean entropy a collapse is judged."""


@dataclass(frozen=True)
class Means:
    """What a training works with; none of it shows in the weights, but for the device."""

    threads: int
    """To read with; on a CPU, `pretrain.cpu_threads` compute."""
    granted: Granted = ONE_GPU
    reader: Reader = "openslide"
    """Who reads patches."""


def run(name: str, out: Path, cfg: PretrainSettings, means: Means) -> None:
    """Train a model, from its last checkpoint where there is one; the weights are written last.

    Args:
        name: `patches` or `regions`.
        out: the weights file.
        cfg: the settings.
        means: threads, device and reader.

    Raises:
        HiptError: if the corpus is empty, training fails, or the checkpoint is of another run.
    """
    torch.set_num_threads(means.threads)
    results = Results(out.parents[1])
    with compute_device(means.granted) as device, _processes(device) as (rank, ranks):
        log.info("training on %s, process %d of %d", device_name(device), rank + 1, ranks)
        stage = stage_of(name, cfg, results, means.threads, Opener(means.reader))
        if device.type == "cpu":
            torch.set_num_threads(cfg.pretrain.cpu_threads)
        _Training(stage, out, device, (rank, ranks)).run()


class _Training:
    """One stage's run."""

    def __init__(
        self, stage: Stage, out: Path, device: torch.device, place: tuple[int, int]
    ) -> None:
        self._stage, self._out, self._device, self._place = stage, out, device, place
        self._dino = stage.dino
        ranks = place[1]
        if self._dino.batch % (ranks * stage.cfg.micro_batches):
            raise HiptError(
                f"{stage.section}.dino.batch ({self._dino.batch}) must be a multiple of "
                f"{ranks} processes x {stage.cfg.micro_batches} micro-batches"
            )
        if stage.items < self._dino.batch:
            raise HiptError(
                f"the corpus of {stage.section} has {stage.items} {stage.unit}, fewer than "
                f"{stage.section}.dino.batch ({self._dino.batch}); add slides, or lower it"
            )
        self._path = out.parent / f".{out.stem}" / "checkpoint.pt"
        self._settings = json.dumps(
            {"version": version_of(STEP), "corpus": corpus_digest(stage.members), "ranks": ranks}
            | {"micro_batches": stage.cfg.micro_batches}
            | stage.recipe(),
            sort_keys=True,
        )
        frozen = self._dino.frozen_iterations
        one_pass = min(-(-stage.items // self._dino.batch), self._dino.iterations // 10)
        self._trainer = Trainer(
            stage.backbone,
            self._dino,
            one_pass if frozen is None else frozen,
            device,
            choose_precision(stage.precision, device),
        )
        self._steps: list[Step] = []

    def run(self) -> None:
        """Train to the end, or until a signal asks to stop."""
        state = read_state(self._path, self._settings)
        if state is not None:
            self._trainer.load_state_dict(state["trainer"])
            self._steps = [Step(*row) for row in state["steps"].tolist()]
            log.info("going on after %d of %d steps", len(self._steps), self._dino.iterations)
        rank, ranks = self._place
        sources = json.loads(state["sources"]) if state is not None else [None] * ranks
        with StopAsked() as asked, self._stage.source(rank, ranks, sources[rank]) as source:
            self._train(source, asked)
        if rank == 0:
            self._write_product()

    def _train(self, source: Any, asked: StopAsked) -> None:  # noqa: ANN401
        """Step after step; saves now and then, and before it leaves."""
        total, every = self._dino.iterations, self._dino.checkpoint_every
        left = (total - len(self._steps)) * self._dino.batch
        progress = Progress(left, self._stage.unit)
        entropies = deque((step.teacher_entropy for step in self._steps[-WATCHED:]), WATCHED)
        for iteration in range(len(self._steps), total):
            step = self._step(next(source), iteration)
            self._refuse(step, entropies)
            self._steps.append(step)
            said = f"step {iteration + 1}/{total}: loss {step.loss:.4f}, entropy "
            said += f"{step.teacher_entropy:.3f}"
            progress.add(self._dino.batch, said, source.waited_s)
            stop = self._agreed(asked)
            if stop or (iteration + 1) % every == 0 or iteration + 1 == total:
                self._save(source)
            if stop and iteration + 1 < total:
                log.info("stopped after step %d; run again to go on", iteration + 1)
                raise SystemExit(128 + stop)
        log.info("%s", progress.summary(source.waited_s))

    def _step(self, batch: Any, iteration: int) -> Step:  # noqa: ANN401
        """One step; too little memory is said in a sentence."""
        try:
            return self._trainer.step(iteration, list(self._views(batch, iteration)))
        except torch.OutOfMemoryError:
            section = self._stage.section
            raise HiptError(
                f"{section}: the memory of {self._device} does not hold {len(batch)} "
                f"{self._stage.unit} at once; raise {section}.micro_batches (now "
                f"{self._stage.cfg.micro_batches}), or lower {section}.dino.batch"
            ) from None

    def _views(self, batch: Any, iteration: int) -> Iterator[list[torch.Tensor]]:  # noqa: ANN401
        """The views of each micro-batch; their random numbers follow from step and process."""
        seed = step_seed(self._dino.seed, iteration, self._place[0])
        generator = torch.Generator(self._device).manual_seed(seed)
        for part in torch.from_numpy(batch).chunk(self._stage.cfg.micro_batches):
            yield self._stage.views(part.to(self._device, non_blocking=True), generator)

    def _refuse(self, step: Step, entropies: deque[float]) -> None:
        """Stop a run that has failed; its last good state is on disk."""
        entropies.append(step.teacher_entropy)
        trouble = diverged(step.loss)
        # before, the answers may still be as alike as random weights make them
        warm = len(self._steps) >= self._dino.warmup_iterations
        if trouble is None and warm and len(entropies) == WATCHED:
            trouble = collapsed(sum(entropies) / WATCHED, self._dino.out_dim)
        if trouble is not None:
            kept = f"the last checkpoint is {self._path}" if self._path.exists() else "none is kept"
            raise HiptError(
                f"pretraining of {self._out.stem} failed in step {len(self._steps) + 1}: "
                f"{trouble}; {kept}; lower {self._stage.section}.dino.lr, or lengthen its warm-up"
            )

    def _agreed(self, asked: StopAsked) -> int:
        """The signal that any process was sent; 0 without."""
        return self._greatest(asked.signal or 0)

    def _greatest(self, value: int) -> int:
        """The greatest of all processes' values; each waits for the others."""
        if self._place[1] == 1:
            return value
        values = torch.tensor([value], device=self._device)
        dist.all_reduce(values, dist.ReduceOp.MAX)
        return int(values.item())

    def _save(self, source: Any) -> None:  # noqa: ANN401
        """Write the checkpoint, by the first process for all; none goes on before it is there.

        A process that left earlier would make torchrun end the one that writes.
        """
        rank, ranks = self._place
        states = [source.state()]
        if ranks > 1:
            states = [None] * ranks
            dist.all_gather_object(states, source.state())
        failed = True
        try:
            if rank == 0:
                write_state(
                    self._path,
                    {
                        "settings": self._settings,
                        "trainer": self._trainer.state_dict(),
                        "sources": json.dumps(states),
                        "steps": torch.tensor(self._steps, dtype=torch.float64),
                    },
                )
            failed = False
        finally:
            failed = bool(self._greatest(int(failed)))
        if failed:  # the first process says why
            raise SystemExit(1)

    def _write_product(self) -> None:
        """Corpus list and curves, then the weights."""
        members = self._stage.members
        write_corpus_list(self._out.with_suffix(".corpus.csv"), members)
        columns = {name: [getattr(s, name) for s in self._steps] for name in Step._fields}
        columns = {"iteration": list(range(len(self._steps))), **columns}
        write_table(self._out.with_suffix(".metrics.parquet"), columns, METRICS)
        facts = {
            **self._stage.metadata(),
            "recipe": json.dumps(self._stage.recipe(), sort_keys=True),
            "corpus": corpus_digest(members),
            "slides": str(len(members)),
            "iterations": str(len(self._steps)),
            "loss": f"{self._steps[-1].loss:.6g}",
            "software": json.dumps(self._software(), sort_keys=True),
        }
        write_weights(self._out, self._trainer.product().state_dict(), facts)
        self._path.unlink(missing_ok=True)

    def _software(self) -> dict[str, str]:
        """What shows in the last bits of the weights beside recipe and corpus."""
        kind = self._device.type
        threads = {"threads": str(torch.get_num_threads())} if kind == "cpu" else {}
        precision = choose_precision(self._stage.precision, self._device)
        return {"torch": torch.__version__, "device": kind, "precision": precision, **threads}


@contextmanager
def _processes(device: torch.device) -> Iterator[tuple[int, int]]:
    """This process's rank and the number of ranks, as torchrun has set them; else 0 of 1."""
    if not is_launched():
        yield 0, 1
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


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
    run(args.stage, args.out, cfg, Means(args.threads, granted_of(args), reader_of(args)))
