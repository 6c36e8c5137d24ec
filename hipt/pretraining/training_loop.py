"""The loop that trains a model: step after step from the last checkpoint on, until it is done."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

from hipt.embedding.devices import choose_precision, fp32_products
from hipt.errors import HiptError
from hipt.nn.dino.loss import collapsed, diverged
from hipt.nn.dino.trainer import Step, Trainer, step_seed
from hipt.pretraining.corpus_list import State, corpus_digest
from hipt.pretraining.processes import Process
from hipt.pretraining.source import Minibatch, Source
from hipt.pretraining.stages import Stage
from hipt.pretraining.state import StopSignal, read_state, write_state
from hipt.progress import Progress

log = logging.getLogger(__name__)

WATCHED = 50
"""Steps over whose mean entropy a collapse is judged."""


class Training:
    """One stage's training in this process."""

    def __init__(self, stage: Stage, out: Path, process: Process, version: int) -> None:
        """Make the networks; neither the checkpoint nor a minibatch is read yet.

        Args:
            stage: what is trained, and on what.
            out: the weights file to be made; the checkpoint lies in a hidden folder beside it.
            process: this process among those that train.
            version: of the training's numbers; a checkpoint of another cannot be continued.

        Raises:
            HiptError: if the batch cannot be shared out or the corpus does not fill it, or `init`
                cannot be read.
        """
        _refuse_batch(stage, process.ranks)
        self._stage, self._name, self._process = stage, out.stem, process
        self.checkpoint = out.parent / f".{out.stem}" / "checkpoint.pt"
        self.steps: list[Step] = []
        """Those that are done, from the first on."""
        self.precision = choose_precision(stage.precision, process.device)
        self._settings = json.dumps(
            {"version": version, "corpus": corpus_digest(stage.members), "ranks": process.ranks}
            | {"micro_batches": stage.cfg.micro_batches}
            | stage.recipe(),
            sort_keys=True,
        )
        self._trainer = Trainer(
            stage.backbone, stage.dino, _frozen_iterations(stage), process.device, self.precision
        )

    def run(self) -> nn.Module:
        """Train to the end; the trained backbone.

        Raises:
            HiptError: if training fails, or the checkpoint is damaged or of other settings.
            SystemExit: 128 and the number of a signal that asked to stop, once the state is saved.
        """
        rank, ranks = self._process.rank, self._process.ranks
        states = self._resumed()
        with StopSignal() as stop, self._stage.source(rank, ranks, states[rank]) as source:
            self._train(source, stop)
        return self._trainer.product()

    def _resumed(self) -> list[State | None]:
        """Take up the checkpoint, if there is one; the states of all processes' sources."""
        state = read_state(self.checkpoint, self._settings)
        if state is None:
            return [None] * self._process.ranks
        self._trainer.load_state_dict(state["trainer"])
        self.steps = [Step(*row) for row in state["steps"].tolist()]
        log.info("going on after %d of %d steps", len(self.steps), self._stage.dino.iterations)
        sources: list[State | None] = json.loads(state["sources"])
        return sources

    def _train(self, source: Source, stop: StopSignal) -> None:
        """Step after step; saves now and then, and before it leaves."""
        dino, total = self._stage.dino, self._stage.dino.iterations
        progress = Progress((total - len(self.steps)) * dino.batch, self._stage.unit)
        for iteration in range(len(self.steps), total):
            step = self._step(next(source), iteration)
            self.steps.append(step)
            self._refuse_failure()
            done = iteration + 1
            message = f"step {done}/{total}: loss {step.loss:.4f}, entropy "
            message += f"{step.teacher_entropy:.3f}"
            progress.add(dino.batch, message, source.waited_s)
            signal = self._process.greatest(stop.number)
            if signal or done % dino.checkpoint_every == 0 or done == total:
                self._save(source)
            if signal and done < total:
                log.info("stopped after step %d; run again to go on", done)
                raise SystemExit(128 + signal)
        log.info("%s", progress.summary(source.waited_s))

    def _step(self, batch: Minibatch, iteration: int) -> Step:
        """One step.

        Raises:
            HiptError: if the device's memory is too small.
        """
        try:
            views = list(self._views(batch, iteration))
            with fp32_products(self._process.device):
                return self._trainer.step(iteration, views)
        except torch.OutOfMemoryError:
            section = self._stage.section
            raise HiptError(
                f"{section}: the memory of {self._process.device} does not hold {len(batch)} "
                f"{self._stage.unit} at once; raise {section}.micro_batches (now "
                f"{self._stage.cfg.micro_batches}), or lower {section}.dino.batch"
            ) from None

    def _views(self, batch: Minibatch, iteration: int) -> Iterator[list[torch.Tensor]]:
        """The views of each micro-batch; their random numbers follow from step and process."""
        device = self._process.device
        seed = step_seed(self._stage.dino.seed, iteration, self._process.rank)
        generator = torch.Generator(device).manual_seed(seed)
        for part in torch.from_numpy(batch).chunk(self._stage.cfg.micro_batches):
            yield self._stage.views(part.to(device, non_blocking=True), generator)

    def _refuse_failure(self) -> None:
        """Stop a training whose last step shows that it has failed; its last good state is on disk.

        Raises:
            HiptError: if the loss is NaN or infinite, or the teacher's outputs have collapsed.
        """
        dino, recent = self._stage.dino, self.steps[-WATCHED:]
        problem = diverged(recent[-1].loss)
        # during warm-up the outputs may still be as alike as random weights make them
        warm = len(self.steps) >= dino.warmup_iterations + WATCHED
        if problem is None and warm:
            problem = collapsed(
                sum(step.teacher_entropy for step in recent) / WATCHED, dino.out_dim
            )
        if problem is not None:
            path = self.checkpoint
            kept = f"the last checkpoint is {path}" if path.exists() else "none is kept"
            raise HiptError(
                f"pretraining of {self._name} failed in step {len(self.steps)}: {problem}; {kept}; "
                f"lower {self._stage.section}.dino.lr, or lengthen its warm-up"
            )

    def _save(self, source: Source) -> None:
        """Write the checkpoint, by the first process for all; none goes on before it is there.

        A process that left earlier would make torchrun end the one that writes.
        """
        states, failed = self._process.gathered(source.state()), True
        try:
            if self._process.rank == 0:
                write_state(
                    self.checkpoint,
                    {
                        "settings": self._settings,
                        "trainer": self._trainer.state_dict(),
                        "sources": json.dumps(states),
                        "steps": torch.tensor(self.steps, dtype=torch.float64),
                    },
                )
            failed = False
        finally:
            failed = bool(self._process.greatest(int(failed)))
        if failed:  # the first process says why
            raise SystemExit(1)


def _refuse_batch(stage: Stage, ranks: int) -> None:
    """Refuse a batch that cannot be shared out, or that the corpus does not fill."""
    batch, parts = stage.dino.batch, stage.cfg.micro_batches
    if batch % (ranks * parts):
        raise HiptError(
            f"{stage.section}.dino.batch ({batch}) must be a multiple of {ranks} processes x "
            f"{parts} micro-batches"
        )
    if stage.items < batch:
        raise HiptError(
            f"the corpus of {stage.section} has {stage.items} {stage.unit}, fewer than "
            f"{stage.section}.dino.batch ({batch}); add slides, or lower it"
        )


def _frozen_iterations(stage: Stage) -> int:
    """Steps during which the last layer is frozen; default: one epoch, at most a tenth of all."""
    dino = stage.dino
    if dino.frozen_iterations is not None:
        return dino.frozen_iterations
    return min(-(-stage.items // dino.batch), dino.iterations // 10)
