"""One model of a task, fitted in every fold, and what it predicts of the units it never saw."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hipt.config.command_line import add_device, granted_of, read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import FitSettings
from hipt.config.tasks import CLOSED_FORM, WITH_COVARIATES
from hipt.embedding.devices import compute_device
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import HiptError
from hipt.machine import NO_GPU, Granted
from hipt.nn.mil.losses import hazards, risk_of
from hipt.progress import Progress
from hipt.registry import version_of
from hipt.store.provenance import Provenance, fingerprint, merged_software
from hipt.store.tables import Row, write_rows
from hipt.tasks.fold_files import FoldFit, read_fold, write_fold
from hipt.tasks.fold_fits import FoldFitter, read_task_data
from hipt.tasks.inputs import unit_inputs
from hipt.tasks.schemas import EPOCHS, predictions_schema
from hipt.tasks.units import Units, read_units

log = logging.getLogger(__name__)

STEP = "fit"

STAGE_2 = ("hipt_finetuned", "hipt_scratch")
"""Models that hold stage 2; to the others its settings do not matter."""


_fitter: FoldFitter
"""What a worker process fits with; set before it is forked, so that bags are in memory once."""


@dataclass(frozen=True)
class _Task:
    """A model of a task, and the share of the training parts that it learns from."""

    units: Units
    cfg: FitSettings
    model: str
    fraction: float


@dataclass(frozen=True)
class _Fold:
    """One fold of a task: where its fit lies, and what decides it."""

    number: int
    file: Path
    made: Provenance

    def read(self) -> FoldFit | None:
        """Its fit, if it is there and the right one."""
        return read_fold(self.file, self.made.fingerprint)


def run(
    folds: Path,
    slides: Path,
    out: Path,
    cfg: FitSettings,
    threads: int,
    granted: Granted = NO_GPU,
) -> None:
    """Fit a model in all folds of a task, and write its predictions of their test parts.

    A fold that is there already, from an interrupted run, is kept.

    Args:
        folds: the task's table of folds.
        slides: the slide table.
        out: `.../<model>/<fraction>/predictions.parquet`; fits and curves go beside it.
        cfg: the settings.
        threads: folds that are fitted at once on CPUs, one core each.
        granted: what to compute on.

    Raises:
        HiptError: if the task's slides cannot be read, or a fold cannot be fitted.
    """
    model, fraction = out.parent.parent.name, float(out.parent.name)
    task = _Task(read_units(folds), cfg.of(model), model, fraction)
    parts = [
        _Fold(k, out.with_name(f"fold_{k}.safetensors"), _provenance(task, k))
        for k in range(task.units.folds)
    ]
    missing = [part for part in parts if part.read() is None]
    log.info("%s, %s: %d of %d folds to fit", cfg.name, task.model, len(missing), len(parts))
    if missing:
        _fit(task, slides, missing, threads, granted)
    fits = [fit for part in parts if (fit := part.read()) is not None]
    of_all = replace(
        _provenance(task, None),
        fingerprint=fingerprint(step=STEP, folds=[part.made.fingerprint for part in parts]),
        software=merged_software(fit.software for fit in fits),
    )
    write_rows(out.with_name("epochs.parquet"), list(_epochs(fits)), EPOCHS, of_all)
    rows = [row for k, fit in enumerate(fits) for row in _predictions(task, k, fit)]
    outputs = sum(name.startswith(("p_", "hazard_")) for name in rows[0])
    write_rows(out, rows, predictions_schema(cfg.kind, outputs), of_all)


def _provenance(task: _Task, fold: int | None) -> Provenance:
    """What decides a fold, or all of them (None), but for the software."""
    settings = settings_of(task.cfg) | {"model": task.model, "fraction": task.fraction}
    if task.model not in STAGE_2:
        settings = {name: settings[name] for name in settings if name not in ("regions", "tile")}
    inputs = unit_inputs(task.units, task.cfg.features is not None, fold)
    if task.model == "hipt_finetuned":
        inputs["weights"] = weights_identity("embed.regions", task.cfg.regions)
    if task.model in WITH_COVARIATES:
        inputs["covariates"] = fingerprint(covariates=task.units.covariates)
    mark = "" if fold is None else _fingerprint(task, fold)
    return Provenance(STEP, version_of(STEP), mark, settings, inputs)


def _fingerprint(task: _Task, fold: int) -> str:
    """The fingerprint of a fold: everything that decides its numbers."""
    units = task.units
    used = units.parts[:, fold] >= 0
    # of all units: whether a column is of numbers follows from every cell
    covariates = {"covariates": units.covariates} if task.model in WITH_COVARIATES else {}
    columns = (units.parts[used, fold], units.y[used], units.time[used], units.event[used])
    rows = [
        [units.names[i], units.sources[i], *values]
        for i, *values in zip(np.flatnonzero(used), *(c.tolist() for c in columns), strict=True)
    ]
    return fingerprint(
        step=version_of(STEP),
        model=task.model,
        fraction=task.fraction,
        fold=fold,
        cfg=task.cfg.model_dump(mode="json", exclude={"name", "features"}),
        units=rows,
        **covariates,
    )


def _fit(task: _Task, slides: Path, folds: Sequence[_Fold], threads: int, granted: Granted) -> None:
    """Fit folds, and write each as soon as it is done."""
    torch.set_num_threads(1)
    data = read_task_data(task.units, task.model, task.cfg.features, slides)
    progress = Progress(len(folds), "folds")
    with compute_device(granted) as device:
        fitter = FoldFitter(data, task.cfg, task.model, task.fraction, device)
        workers = threads if device.type == "cpu" else 1
        fits = _fitted(fitter, [fold.number for fold in folds], workers, task.cfg.name)
        for fold, fit in zip(folds, fits, strict=True):
            write_fold(fold.file, fit, replace(fold.made, software=fitter.software))
            name, best = f"fold {fold.number}", float(fit.curve[fit.chosen, 1])
            log.info("%s: validation loss %.4f, row %d of the curve", name, best, fit.chosen)
            progress.add(1, name)


def _fitted(fitter: FoldFitter, folds: Sequence[int], workers: int, name: str) -> Iterator[FoldFit]:
    """Fits in the order of their folds, several at once where there are cores, one core each."""
    global _fitter
    _fitter = fitter
    try:
        if workers == 1 or len(folds) == 1:
            yield from map(fitter.fit, folds)
            return
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(min(workers, len(folds)), mp_context=context) as pool:
            try:
                yield from pool.map(_fit_one, folds)
            except BaseException:  # asked to stop, or failed: the folds at work are not waited for
                for process in multiprocessing.active_children():
                    process.kill()
                raise
    except ValueError as error:
        raise HiptError(f"tasks.{name}: {error}") from None


def _fit_one(fold: int) -> FoldFit:
    """In a worker process."""
    torch.set_num_threads(1)
    return _fitter.fit(fold)


def _epochs(fits: Sequence[FoldFit]) -> Iterator[Row]:
    for fold, fit in enumerate(fits):
        for epoch, (train, validation) in enumerate(fit.curve.tolist()):
            yield {
                "fold": fold,
                "epoch": epoch,
                "train_loss": train,
                "validation_loss": validation,
                "chosen": epoch == fit.chosen,
            }


def _predictions(task: _Task, fold: int, fit: FoldFit) -> Iterator[Row]:
    """What a fold's model says of its test units."""
    units, cfg = task.units, task.cfg
    place = {name: i for i, name in enumerate(units.names)}
    logits = fit.logits.double()
    hazard_model = cfg.kind == "survival" and (task.model in CLOSED_FORM or cfg.fit.loss == "cox")
    for at, (name, outputs) in enumerate(zip(fit.units, logits, strict=True)):
        i = place[name]
        row: Row = {"fold": fold, "unit": name, "case_id": units.cases[i]}
        if cfg.kind == "classification":
            row["y"] = int(units.y[i])
            row |= {f"p_{k}": p for k, p in enumerate(outputs.softmax(0).tolist())}
            if fit.calibrated is not None:
                row |= {f"calibrated_{k}": p for k, p in enumerate(fit.calibrated[at].tolist())}
        else:
            row |= {"time": float(units.time[i]), "event": bool(units.event[i])}
            row["risk"] = float(outputs[0]) if hazard_model else float(risk_of(outputs[None])[0])
            if not hazard_model:
                row |= {f"hazard_{k}": h for k, h in enumerate(hazards(outputs).tolist())}
        yield row


def main(argv: Sequence[str] | None = None) -> None:
    """Command line: the folds, the slide table, the settings, the predictions to make."""
    parser = step_parser(STEP, __doc__)
    parser.add_argument("--folds", type=Path, required=True, help="the task's table of folds")
    parser.add_argument("--slides", type=Path, required=True, help="the slide table")
    parser.add_argument("--task", help="the task's name, where --cfg is a config file")
    parser.add_argument("--threads", type=int, default=1, help="folds that are fitted at once")
    add_device(parser)
    args = parser.parse_args(argv)
    cfg = read_task_settings(STEP, FitSettings, args.cfg, args.task)
    run(args.folds, args.slides, args.out, cfg, args.threads, granted_of(args))
