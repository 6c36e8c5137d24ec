"""What fitted baselines say of regions, where covariates are among what they see."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hipt.config.step_settings import ViewedTask
from hipt.tasks.features import FileFeatures
from hipt.tasks.fold_files import read_fold
from hipt.tasks.units import TEST, read_units
from hipt.tasks.views import TaskView
from tests.steps.test_fit import REGIONS, FittedTask


def view(task: FittedTask, model: str) -> TaskView:
    task.run(model)
    units = read_units(task.folds)
    files = [task.made(model).with_name(f"fold_{k}.safetensors") for k in range(units.folds)]
    fits = [fit for file in files if (fit := read_fold(file)) is not None]
    viewed = ViewedTask(
        name="t", kind="classification", loss="nll", models=("linear",), fraction=1.0
    )
    return TaskView(viewed, model, units, fits, FileFeatures(Path(task.values["features"])))


def test_regions_move_the_answer_of_covariates_and_regions_by_their_own_weights(tmp_path: Path):
    """Of two units with the same age the answers differ by what their mean regions differ."""
    models = ["clinical", "clinical_linear"]
    task = FittedTask(tmp_path, covariates=["age"], models=models)
    header, *lines = (tmp_path / "labels.csv").read_text().splitlines()
    table = [f"{line},{30 + 40 * (i % 2)}" for i, line in enumerate(lines)]
    (tmp_path / "labels.csv").write_text("\n".join([f"{header},age", *table]) + "\n")
    both = view(task, "clinical_linear")
    ages = {cells[0] for cells in both.units.covariates}
    assert ages == {"30", "70"}
    tested = both.units.of(0, TEST)
    one, other = [i for i in tested if both.units.covariates[i][0] == "30"][:2]
    names = [both.units.names[i] for i in (one, other)]
    logits = both.fits[0].logits.double()[[list(tested).index(i) for i in (one, other)]]
    means = [both.features.regions(name).vectors.mean(0, dtype=np.float64) for name in names]
    gradient = both.gradients(names[0])[""].double().numpy()  # (M, D), of the mean over M
    expected = (means[0] - means[1]) @ gradient[0] * REGIONS
    answers = logits[:, 1] - logits[:, 0]
    np.testing.assert_allclose(float(answers[0] - answers[1]), expected, rtol=1e-5)
    alone = view(task, "clinical")
    assert alone.gradients(names[0]) == {}
    assert alone.attention(names[0]) is None
