"""One model of a task, fitted in every fold, and what it predicts of the units it never saw."""

from __future__ import annotations

import logging
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hipt.config.command_line import add_device, granted_of, read_task_settings, step_parser
from hipt.config.recorded import settings_of
from hipt.config.step_settings import FitSettings
from hipt.config.tasks import LINEAR
from hipt.embedding.devices import compute_device
from hipt.embedding.weights_identity import weights_identity
from hipt.errors import HiptError
from hipt.machine import NO_GPU, Granted
from hipt.nn.mil.losses import hazards, risk_of
from hipt.progress import Progress
from hipt.steps import VERSION
from hipt.store.provenance import Provenance, fingerprint, merged_software
from hipt.store.tables import write_rows
from hipt.tasks.fold_files import FoldFit, read_fold, write_fold
from hipt.tasks.fold_fits import FoldFitter, read_task_data
from hipt.tasks.inputs import unit_inputs
from hipt.tasks.schemas import EPOCHS, predictions_schema
from hipt.tasks.units import Units, read_units

log = logging.getLogger(__name__)

STEP = "fit"

STAGE_2 = ("hipt_finetuned", "hipt_scratch")
"""Models that hold stage 2; to the others its settings do not matter."""

Row = dict[str, Any]

_fitter: FoldFitter
"""What a worker process fits with; set before it is forked, so that bags are in memory once."""


@dataclass(frozen=True)
class _Folds:
    """Where the folds' fits are written, what decides each, and the means."""

    files: Sequence[Path]
    made: Sequence[Provenance]
    threads: int
    granted: Granted


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
    units = read_units(folds)
    made = [_provenance(units, fold, model, fraction, cfg) for fold in range(units.folds)]
    names = [one.fingerprint for one in made]
    files = [out.with_name(f"fold_{fold}.safetensors") for fold in range(units.folds)]
    missing = [k for k in range(units.folds) if read_fold(files[k], names[k]) is None]
    log.info("%s, %s: %d of %d folds to fit", cfg.name, model, len(missing), units.folds)
    if missing:
        _fit(units, slides, (model, fraction), cfg, missing, _Folds(files, made, threads, granted))
    fits = [fit for k in range(units.folds) if (fit := read_fold(files[k], names[k])) is not None]
    of_all = replace(
        _provenance(units, None, model, fraction, cfg),
        fingerprint=fingerprint(step=STEP, folds=names),
        software=merged_software(one.software for one in fits),
    )
    write_rows(out.with_name("epochs.parquet"), list(_epochs(fits)), EPOCHS, of_all)
    rows = [row for k, fit in enumerate(fits) for row in _predictions(units, k, fit, cfg, model)]
    outputs = sum(name.startswith(("p_", "hazard_")) for name in rows[0])
    write_rows(out, rows, predictions_schema(cfg.kind, outputs), of_all)


def _provenance(
    units: Units, fold: int | None, model: str, fraction: float, cfg: FitSettings
) -> Provenance:
    """What decides a fold, or all of them (None), but for the software."""
    settings = settings_of(cfg) | {"model": model, "fraction": fraction}
    if model not in STAGE_2:
        settings = {name: settings[name] for name in settings if name not in ("regions", "tile")}
    inputs = unit_inputs(units, cfg.features is not None, fold)
    if model == "hipt_finetuned":
        inputs["weights"] = weights_identity("embed.regions", cfg.regions)
    mark = "" if fold is None else _name(units, fold, model, fraction, cfg)
    return Provenance(STEP, VERSION[STEP], mark, settings, inputs)


def _name(units: Units, fold: int, model: str, fraction: float, cfg: FitSettings) -> str:
    """The fingerprint of a fold: everything that decides its numbers."""
    used = units.parts[:, fold] >= 0
    columns = (units.parts[used, fold], units.y[used], units.time[used], units.event[used])
    rows = [
        [units.names[i], units.sources[i], *values]
        for i, *values in zip(np.flatnonzero(used), *(c.tolist() for c in columns), strict=True)
    ]
    told = cfg.model_dump(mode="json", exclude={"name", "features"})
    return fingerprint(
        step=VERSION[STEP], model=model, fraction=fraction, fold=fold, cfg=told, units=rows
    )


def _fit(
    units: Units,
    slides: Path,
    what: tuple[str, float],
    cfg: FitSettings,
    missing: Sequence[int],
    folds: _Folds,
) -> None:
    """Fit the missing folds, and write each as soon as it is done."""
    model, fraction = what
    torch.set_num_threads(1)
    data = read_task_data(units, model, cfg.features, slides)
    progress = Progress(len(missing), "folds")
    with compute_device(folds.granted) as device:
        fitter = FoldFitter(data, cfg, model, fraction, device)
        workers = folds.threads if device.type == "cpu" else 1
        for fold, fit in _fitted(fitter, missing, workers, cfg):
            made = replace(folds.made[fold], software=fitter.software)
            write_fold(folds.files[fold], fit, made)
            best = float(fit.curve[fit.chosen, 1])
            log.info("fold %d: validation loss %.4f, row %d of the curve", fold, best, fit.chosen)
            progress.add(1, f"fold {fold}")


def _fitted(
    fitter: FoldFitter, missing: Sequence[int], workers: int, cfg: FitSettings
) -> Iterator[tuple[int, FoldFit]]:
    """Folds in order, several at once where there are cores; each computes on one core alone."""
    global _fitter
    _fitter = fitter
    try:
        if workers == 1 or len(missing) == 1:
            for fold in missing:
                yield fold, fitter.fit(fold)
            return
        context = multiprocessing.get_context("fork")
        with ProcessPoolExecutor(min(workers, len(missing)), mp_context=context) as pool:
            try:
                yield from zip(missing, pool.map(_fit_one, missing), strict=True)
            except BaseException:  # asked to stop, or failed: the folds at work are not waited for
                for process in multiprocessing.active_children():
                    process.kill()
                raise
    except ValueError as error:
        raise HiptError(f"tasks.{cfg.name}: {error}") from None


def _fit_one(fold: int) -> FoldFit:
    """In a worker process."""
    torch.set_num_threads(1)
    return _fitter.fit(fold)


def _epochs(fits: Sequence[FoldFit]) -> Iterator[Row]:
    """The curves of all folds."""
    for fold, fit in enumerate(fits):
        for epoch, (train, validation) in enumerate(fit.curve.tolist()):
            yield {
                "fold": fold,
                "epoch": epoch,
                "train_loss": train,
                "validation_loss": validation,
                "chosen": epoch == fit.chosen,
            }


def _predictions(
    units: Units, fold: int, fit: FoldFit, cfg: FitSettings, model: str
) -> Iterator[Row]:
    """What a fold's model says of its test units."""
    place = {name: i for i, name in enumerate(units.names)}
    logits = fit.logits.double()
    hazard_model = cfg.kind == "survival" and (model == LINEAR or cfg.fit.loss == "cox")
    for at, (name, row) in enumerate(zip(fit.units, logits, strict=True)):
        i = place[name]
        told: Row = {"fold": fold, "unit": name, "case_id": units.cases[i]}
        if cfg.kind == "classification":
            told["y"] = int(units.y[i])
            told |= {f"p_{k}": p for k, p in enumerate(row.softmax(0).tolist())}
            if fit.calibrated is not None:
                told |= {f"calibrated_{k}": p for k, p in enumerate(fit.calibrated[at].tolist())}
        else:
            told |= {"time": float(units.time[i]), "event": bool(units.event[i])}
            told["risk"] = float(row[0]) if hazard_model else float(risk_of(row[None])[0])
            if not hazard_model:
                told |= {f"hazard_{k}": h for k, h in enumerate(hazards(row).tolist())}
        yield told


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
