"""One fold of one model: its data cut from the task's, its fit, its answers for the test part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from hipt.config.step_settings import FitSettings
from hipt.config.tasks import CLINICAL, CLOSED_FORM, LINEAR
from hipt.embedding.weights_files import load_region_encoder
from hipt.layout import Results
from hipt.nn.encoders import build_region_encoder
from hipt.nn.mil import CLUSTERS, MODELS, BagModel, build
from hipt.nn.mil.fitting import BagData, answers, fit, refuse_empty
from hipt.nn.vit import initialise
from hipt.stats.arrays import Floats, Ints
from hipt.stats.covariates import coded
from hipt.stats.linear import Linear, Parts, fit_classes, fit_hazard
from hipt.stats.recalibration import class_shares, recalibration
from hipt.stats.survival import bin_of, time_bins
from hipt.store.provenance import array_software
from hipt.store.tables import PatchEmbeddings
from hipt.tasks.features import bag, features_of
from hipt.tasks.fold_files import FoldFit
from hipt.tasks.folds.splits import subsample
from hipt.tasks.phenotypes import phenotype_centres, phenotypes
from hipt.tasks.units import TEST, TRAIN, VALIDATION, Units


@dataclass(frozen=True)
class TaskData:
    """Everything that the folds of a task share; read once."""

    units: Units
    bags: Sequence[Tensor]
    """Per unit (m, D) regions, their (1, D) mean for `linear`, or (m, T, C) grids of patches."""
    positions: Sequence[Tensor] | None

    @property
    def width(self) -> int:
        """D, or C."""
        return int(self.bags[0].shape[-1])


class GridBags(Sequence[Tensor]):
    """Grids of patch vectors, read when asked for: a cohort's would fill the memory."""

    def __init__(self, units: Units, results: Results) -> None:
        self._units, self._results = units, results

    def __len__(self) -> int:
        return len(self._units.slides)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        """(m, T, C) float32 of one unit."""
        shards = [
            PatchEmbeddings(self._results.shard("embed_patches", slide_id))
            for slide_id in self._units.slides[index]
        ]
        grids = [shard.grid(i) for shard in shards for i in range(len(shard))]
        return torch.from_numpy(np.stack(grids).astype(np.float32))


def read_task_data(units: Units, model: str, features: str | None, slides: Path) -> TaskData:
    """The bags of a task's units, as a model takes them.

    Raises:
        HiptError: if they cannot be read.
    """
    if model == CLINICAL:
        return TaskData(units, [], None)
    if model not in CLOSED_FORM and MODELS[model].grids:
        return TaskData(units, GridBags(units, Results(slides.parent)), None)
    source = features_of(features, slides)
    if model in CLOSED_FORM:  # one unit's regions in memory at a time
        bags = (torch.from_numpy(bag(source, names).vectors) for names in units.slides)
        return TaskData(units, [bag_.double().mean(0, keepdim=True) for bag_ in bags], None)
    bags_of = [bag(source, names) for names in units.slides]
    placed = [torch.from_numpy(bag_.positions) for bag_ in bags_of if bag_.positions is not None]
    return TaskData(
        units,
        [torch.from_numpy(bag_.vectors) for bag_ in bags_of],
        placed if len(placed) == len(bags_of) else None,
    )


class FoldFitter:
    """Fits one model in any fold; a fold's numbers depend on that fold alone."""

    def __init__(
        self, data: TaskData, cfg: FitSettings, model: str, fraction: float, device: torch.device
    ) -> None:
        self._data, self._cfg, self._model, self._fraction = data, cfg, model, fraction
        self._device = device

    @property
    def software(self) -> dict[str, str]:
        """What shows in the numbers: versions, device and precision."""
        if self._model in CLOSED_FORM:
            return array_software()
        versions = {"torch": torch.__version__, "device": self._device.type}
        return versions | {"precision": "fp32"}

    def fit(self, fold: int) -> FoldFit:
        """Fit one fold.

        Raises:
            ValueError: if the fit does not come to numbers, or a part is too small.
        """
        train, validation = self._training(fold), self._data.units.of(fold, VALIDATION)
        test = self._data.units.of(fold, TEST)
        seed = self._cfg.fit.seed + fold
        if self._model in CLOSED_FORM:
            fitted, seen = self._linear(train, validation, test)
        else:
            fitted, seen = self._bags(train, validation, test, seed)
        if self._cfg.kind == "survival":
            return fitted
        return self._calibrated(fitted, seen, train, validation)

    def _calibrated(self, fitted: FoldFit, seen: Tensor, train: Ints, validation: Ints) -> FoldFit:
        """The fit with probabilities at the classes' prevalence; the test part has no say in it.

        Args:
            fitted: with logits of the test part.
            seen: (v, K) logits of the validation part.
            train: (t,) units that were trained on.
            validation: (v,) units.
        """
        y, classes = self._data.units.y, self._data.units.outputs
        equal = np.full(classes, 1 / classes) if self._cfg.fit.balanced else None
        natural = class_shares(y[np.concatenate([train, validation])], classes)
        recalibrate = recalibration(seen.double().numpy(), y[validation], natural, equal)
        p = recalibrate(fitted.logits.double().numpy())
        return replace(fitted, calibrated=torch.from_numpy(p), slope=recalibrate.slope)

    def _training(self, fold: int) -> Ints:
        """The training part, or the share of it that is asked for."""
        units = self._data.units
        if self._fraction == 1:
            return units.of(fold, TRAIN)
        survival = self._cfg.kind == "survival"
        strata = units.event.astype(int) if survival else units.y
        # In foreign splits a case may be on two sides; there every unit is drawn for itself.
        groups = units.names if self._cfg.split == "files" else units.cases
        chosen = subsample(
            np.array(groups),
            _joined(groups, strata),
            units.parts[:, fold] == TRAIN,
            self._fraction,
            (self._cfg.seed, fold),
        )
        return np.flatnonzero(chosen)

    def _linear(self, train: Ints, validation: Ints, test: Ints) -> tuple[FoldFit, Tensor]:
        """A baseline on one vector per unit, and its logits of the validation part."""
        refuse_empty(len(train), len(validation))
        units, cfg = self._data.units, self._cfg.fit
        vectors, free = self._vectors(train)
        parts = Parts(train, validation)
        model: Linear = (
            fit_hazard(vectors, units.time, units.event, parts, cfg.ridges, free=free)
            if self._cfg.kind == "survival"
            else fit_classes(
                vectors,
                units.y,
                units.outputs,
                parts,
                cfg.ridges,
                balanced=cfg.balanced,
                free=free,
            )
        )
        fitted = FoldFit(
            units=tuple(units.names[i] for i in test),
            logits=torch.from_numpy(model(vectors[test])),
            attention=(),
            chosen=cfg.ridges.index(model.ridge),
            curve=torch.tensor(list(zip(cfg.ridges, model.losses, strict=True))),
            weights={
                "weights": torch.from_numpy(model.weights),
                "bias": torch.from_numpy(model.bias),
                "mean": torch.from_numpy(model.scale.mean),
                "factor": torch.from_numpy(model.scale.factor),
            },
        )
        return fitted, torch.from_numpy(model(vectors[validation]))

    def _vectors(self, train: Ints) -> tuple[Floats, int]:
        """(N, C + D) covariates, mean regions, or both; of both, that the first C are free."""
        if self._model == LINEAR:
            return self._means(), 0
        known = coded(self._data.units.covariates, train)  # (N, C)
        if self._model == CLINICAL:
            return known, 0
        return np.concatenate([known, self._means()], 1), known.shape[1]

    def _means(self) -> Floats:
        """(N, D) mean regions."""
        return np.stack([bag.double().mean(0).numpy() for bag in self._data.bags])

    def _bags(self, train: Ints, validation: Ints, test: Ints, seed: int) -> tuple[FoldFit, Tensor]:
        """A bag model, and its logits of the validation part."""
        data = self._bag_data(train, seed)
        make = partial(self._built, seed)
        parts = train.tolist(), validation.tolist()
        fitted = fit(make, data, *parts, self._cfg.fit, seed, self._device)
        model = make().to(self._device)
        model.load_state_dict(fitted.state)
        output = answers(model, data, test.tolist(), self._device)
        seen = torch.empty(0, output.logits.shape[1])
        if len(validation):
            seen = answers(model, data, validation.tolist(), self._device).logits
        fold = FoldFit(
            units=tuple(self._data.units.names[i] for i in test),
            logits=output.logits,
            attention=tuple(output.attention),
            chosen=fitted.epoch,
            curve=torch.tensor(fitted.curve, dtype=torch.float64),
            weights=fitted.state,
        )
        return fold, seen

    def _bag_data(self, train: Ints, seed: int) -> BagData:
        """Bags with their targets; phenotypes and time bins are those of the training part."""
        units, cfg = self._data.units, self._cfg
        clusters = None
        if MODELS[self._model].clustered:
            seen = torch.cat([self._data.bags[i] for i in train]).numpy()
            centres = phenotype_centres(seen, CLUSTERS, seed)
            clusters = [
                torch.from_numpy(phenotypes(bag.numpy(), centres)) for bag in self._data.bags
            ]
        positions = self._data.positions if MODELS[self._model].placed else None
        classes = torch.from_numpy(units.y)
        data = BagData(self._data.bags, positions, clusters, classes, None, None)
        if cfg.kind == "classification":
            return data
        edges = time_bins(units.time[train], units.event[train], cfg.fit.bins)
        bins = torch.from_numpy(np.asarray(bin_of(units.time, edges), np.int64))
        event, time = torch.from_numpy(units.event), torch.from_numpy(units.time).float()
        return replace(data, target=bins, event=event, time=time)

    def _built(self, seed: int) -> BagModel:
        """The model with its first weights."""
        cfg, width, stage2 = self._cfg, self._data.width, None
        if self._model == "hipt_finetuned":
            stage2 = load_region_encoder(cfg.regions, width)
        elif self._model == "hipt_scratch":
            stage2 = build_region_encoder(cfg.regions, width)
            initialise(stage2, seed)
        outputs, dropout = self._outputs(), cfg.fit.dropout
        return build(self._model, width, outputs, dropout=dropout, stage2=stage2)

    def _outputs(self) -> int:
        """Classes, time bins, or one log hazard."""
        if self._cfg.kind == "classification":
            return self._data.units.outputs
        return 1 if self._cfg.fit.loss == "cox" else self._cfg.fit.bins


def _joined(groups: Sequence[str], strata: Ints) -> npt.NDArray[np.str_]:
    """(N,) per unit all strata of its group, as one text."""
    of_group: dict[str, set[str]] = {}
    for group, stratum in zip(groups, strata.tolist(), strict=True):
        of_group.setdefault(group, set()).add(str(stratum))
    return np.array(["|".join(sorted(of_group[group])) for group in groups])
