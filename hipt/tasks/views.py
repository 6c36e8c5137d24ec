"""What the fitted models of a task say of a slide's regions, each by folds that never saw it.

Legend: M regions of a unit (all its slides), R regions of one slide, D width of a region's vector,
K answers.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hipt.config.step_settings import ViewedTask
from hipt.config.tasks import CLINICAL, CLOSED_FORM, INATTENTIVE
from hipt.errors import HiptError
from hipt.layout import Results
from hipt.nn.attribution import answer_gradients
from hipt.nn.mil import MODELS, build, pad
from hipt.nn.mil.losses import risk_of
from hipt.tasks.features import Features, OwnFeatures, bag
from hipt.tasks.fold_files import FoldFit, read_fold
from hipt.tasks.units import TEST, Units, read_units

Answer = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class TaskView:
    """One model of a task, as its folds fitted it."""

    task: ViewedTask
    model: str
    units: Units
    fits: Sequence[FoldFit]
    features: Features

    @property
    def name(self) -> str:
        """`<task>.<model>`."""
        return f"{self.task.name}.{self.model}"

    def knows(self, slide_id: str) -> bool:
        """Whether a fold tested the slide."""
        return bool(self._tested(slide_id))

    def digest(self, slide_id: str) -> str:
        """A name of everything that decides what is said of a slide; empty if nothing is."""
        digest = hashlib.sha256()
        tested = self._tested(slide_id)
        for fold, place in tested:
            fit = self.fits[fold]
            digest.update(f"{fold} {fit.units[place]} {self._sources[fit.units[place]]}".encode())
            for part in (fit.logits[place], *fit.attention[place : place + 1]):
                digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()[:32] if tested else ""

    def attention(self, slide_id: str) -> Tensor | None:
        """(R,) the share of its unit's attention that each region gets; None for models without.

        The mean over the folds in which the slide was tested.
        """
        if self.model in INATTENTIVE:
            return None
        maps = [
            self.fits[fold].attention[place][self._own(slide_id)]
            for fold, place in self._tested(slide_id)
        ]
        return torch.stack(maps).mean(0) if maps else None

    def gradients(self, slide_id: str) -> dict[str, Tensor]:
        """Per answer (R, D): its gradient by the slide's regions; of some models nothing.

        Of two classes the one answer is how much likelier the second is, of more how much likelier
        each is than the mean; of survival the risk. Models of patches, of phenotypes and of
        covariates alone have none. The mean over folds, as of `attention`.
        """
        kind = MODELS.get(self.model)
        if self.model == CLINICAL or (kind is not None and (kind.grids or kind.clustered)):
            return {}
        names, by_fold = self._answers, list(self._gradients_by_fold(slide_id))
        means = [torch.stack(part).mean(0) for part in zip(*by_fold, strict=True)]
        return dict(zip(names, means, strict=True)) if means else {}

    def _gradients_by_fold(self, slide_id: str) -> Iterator[list[Tensor]]:
        """Per fold and answer (R, D)."""
        own = self._own(slide_id)
        for fold, _ in self._tested(slide_id):
            fit = self.fits[fold]
            if self.model in CLOSED_FORM:
                yield [gradient[own] for gradient in self._linear_gradients(fit, slide_id)]
                continue
            vectors, positions = self._bag(slide_id)
            model = build(self.model, vectors.shape[1], fit.logits.shape[1], dropout=0)
            model.load_state_dict(dict(fit.weights))
            placed = MODELS[self.model].placed and positions is not None
            bags = pad([vectors], [positions] if placed and positions is not None else None)
            yield [
                gradient[own]
                for gradient in answer_gradients(model, bags, list(self._answers.values()))
            ]

    def _linear_gradients(self, fit: FoldFit, slide_id: str) -> Iterator[Tensor]:
        """Per answer (M, D): every region counts by its share of the mean."""
        regions, width = self._bag(slide_id)[0].shape  # M, D
        logits = fit.logits.shape[1]
        for answer in self._answers.values():
            at = torch.zeros(1, logits, dtype=torch.float64, requires_grad=True)
            (direction,) = torch.autograd.grad(answer(at), at)  # (1, K)
            by_input = fit.weights["weights"] @ direction[0] * fit.weights["factor"]  # (C + D,)
            yield (by_input[-width:] / regions).float().expand(regions, -1)

    def ends(self, answer: str) -> tuple[str, str]:
        """What lowers an answer and what raises it, in words."""
        if self.task.kind == "survival":
            return "lower risk", "higher risk"
        wanted = [int(answer[1:])] if answer else [0, 1]
        names = [self.units.classes.get(kind, f"class {kind}") for kind in wanted]
        return (f"against {names[0]}" if answer else f"for {names[0]}"), f"for {names[-1]}"

    @cached_property
    def _answers(self) -> Mapping[str, Answer]:
        """What a slide's map is of, by name; empty for the only one."""
        logits = self.fits[0].logits.shape[1]
        if self.task.kind == "survival":
            hazard = self.model in CLOSED_FORM or self.task.loss == "cox"
            return {"": (lambda x: x.sum()) if hazard else (lambda x: risk_of(x).sum())}
        if logits == 2:
            return {"": lambda x: (x[:, 1] - x[:, 0]).sum()}
        return {f".{k}": partial(_above_mean, k) for k in range(logits)}

    @cached_property
    def _sources(self) -> Mapping[str, str]:
        """What names the content of each unit's slides."""
        return dict(zip(self.units.names, self.units.sources, strict=True))

    @cached_property
    def _unit_of(self) -> Mapping[str, int]:
        """The unit of every slide."""
        return {s: i for i, slides in enumerate(self.units.slides) for s in slides}

    @cached_property
    def _places(self) -> Sequence[Mapping[str, int]]:
        """Per fold, where each of its test units stands."""
        return [{name: i for i, name in enumerate(fit.units)} for fit in self.fits]

    def _tested(self, slide_id: str) -> list[tuple[int, int]]:
        """The folds that tested the slide, and its unit's place in each."""
        unit = self._unit_of.get(slide_id)
        if unit is None:
            return []
        folds = np.flatnonzero(self.units.parts[unit] == TEST).tolist()
        return [(fold, self._places[fold][self.units.names[unit]]) for fold in folds]

    def _bag(self, slide_id: str) -> tuple[Tensor, Tensor | None]:
        """(M, D) vectors and (M, 2) positions of the slide's unit."""
        bag_of_unit = bag(self.features, self.units.slides[self._unit_of[slide_id]])
        placed = bag_of_unit.positions
        return (
            torch.from_numpy(bag_of_unit.vectors),
            None if placed is None else torch.from_numpy(placed),
        )

    def _own(self, slide_id: str) -> slice:
        """Where the slide's regions lie among those of its unit."""
        start = 0
        for other in self.units.slides[self._unit_of[slide_id]]:
            regions = len(self.features.regions(other).vectors)
            if other == slide_id:
                return slice(start, start + regions)
            start += regions
        raise KeyError(slide_id)


def _above_mean(kind: int, logits: Tensor) -> Tensor:
    """How much likelier a class is than the mean of all."""
    return (logits[:, kind] - logits.mean(1)).sum()


def task_views(tasks: Sequence[ViewedTask], slides: Path) -> Iterator[TaskView]:
    """Every model of the tasks.

    Raises:
        HiptError: if a table or a fit is missing or damaged.
    """
    results, features = Results(slides.parent), OwnFeatures(slides)
    for task in tasks:
        units = read_units(results.task(task.name, "folds.parquet"))
        for model in task.models:
            paths = [
                results.fit(task.name, model, f"{task.fraction:g}", f"fold_{k}.safetensors")
                for k in range(units.folds)
            ]
            yield TaskView(task, model, units, [_fit(path) for path in paths], features)


def _fit(path: Path) -> FoldFit:
    """A fold's fit, which has to be there."""
    fold = read_fold(path)
    if fold is None:
        predictions = path.with_name("predictions.parquet")
        raise HiptError(f"{path}: is missing; make it again: snakemake --forcerun {predictions}")
    return fold
