"""Schemas of what a task makes: folds, audit, predictions, scores, and what is drawn of them."""

from __future__ import annotations

import pyarrow as pa

from hipt.store.schemas import INT, REAL, TEXT, schema_of


def _nullable(**columns: pa.DataType) -> pa.Schema:
    """A schema of columns that may be null."""
    return pa.schema(list(columns.items()))


FOLDS = pa.schema(
    [
        *schema_of(slide_id=TEXT, case_id=TEXT, site=TEXT, unit=TEXT),
        *_nullable(label=TEXT, y=INT, time=REAL, event=pa.bool_(), covariates=pa.list_(TEXT)),
        *schema_of(source=TEXT, parts=pa.list_(pa.int8())),
    ]
)
"""results/tasks/<task>/folds.parquet: one row per slide of the task. `unit` is the slide or case
that gets a prediction; `covariates` are texts, empty where they are not known; `source` names the
content of the slide's embeddings; `parts` has one number per fold: 0 training, 1 validation, 2
test, -1 not used."""

LEAKS = schema_of(fold=INT, kind=TEXT, value=TEXT, sides=TEXT, slides=INT)
"""results/tasks/<task>/leaks.parquet: cases, sites and contents of slides on two sides of a fold,
and what of the test part was in the pretraining corpus; one row each. See `hipt.tasks.folds.leaks`.
"""

LABELS = pa.schema(
    [*schema_of(kind=TEXT, value=TEXT, meaning=TEXT, slides=INT), *_nullable(cases=INT)]
)
"""results/tasks/<task>/labels.parquet: what became of the labels, see `hipt.tasks.labels.facts`."""

EPOCHS = schema_of(fold=INT, epoch=INT, train_loss=REAL, validation_loss=REAL, chosen=pa.bool_())
"""results/tasks/<task>/<model>/<fraction>/epochs.parquet: one row per fold and epoch."""

_MODEL = schema_of(task=TEXT, model=TEXT, fraction=REAL)
"""Of every row about a model that was fitted with a share of the training part."""

SCORES = pa.schema(
    [
        *_MODEL,
        *_nullable(fold=INT),
        *schema_of(metric=TEXT),
        *_nullable(value=REAL, low=REAL, high=REAL),
        *schema_of(units=INT),
        *_nullable(note=TEXT),
    ]
)
"""results/tasks/<task>/scores.parquet: one row per model, fraction, fold and metric; without fold:
over all folds' test parts together, with a 95 % interval over cases. `note` says why a value or an
interval is missing, or what a value leaves out."""

DIFFERENCES = pa.schema(
    [
        *schema_of(task=TEXT, model=TEXT, other=TEXT, fraction=REAL, metric=TEXT),
        *_nullable(difference=REAL, low=REAL, high=REAL, p=REAL, p_holm=REAL, note=TEXT),
    ]
)
"""results/tasks/<task>/differences.parquet: every pair of models on the same units; `difference` is
model minus other, p from the bootstrap over cases, p_holm corrected for all pairs of a fraction.
`note` says why one of them is missing."""

ROC = pa.schema(
    [
        *_MODEL,
        *schema_of(label=TEXT),
        *_nullable(against=TEXT),
        *schema_of(auc=REAL, positives=INT, negatives=INT),
        *schema_of(threshold=REAL, false_positive_rate=REAL, true_positive_rate=REAL),
    ]
)
"""results/tasks/<task>/roc.parquet: corners of ROC curves over all test parts together, of two
classes that of the second, of more each class against all others (`against` is null)."""

CALIBRATION = pa.schema(
    [
        *_MODEL,
        *_nullable(label=TEXT),
        *schema_of(calibrated=pa.bool_(), items=INT, predicted=REAL, observed=REAL),
        *schema_of(low=REAL, high=REAL, expected_error=REAL),
    ]
)
"""results/tasks/<task>/calibration.parquet: bins of about as many predictions, one row each; of two
classes of the second's probability, of more of the likeliest class's (`label` is null)."""

SURVIVAL = pa.schema(
    [
        *_MODEL,
        *schema_of(group=TEXT, time=REAL, at_risk=INT, events=INT, censored=INT, survival=REAL),
        *_nullable(low=REAL, high=REAL),
    ]
)
"""results/tasks/<task>/survival.parquet: Kaplan-Meier curves of the units above (`high`) and below
(`low`) the median risk, from month 0 on one row per month in which something happens."""

ERRORS = pa.schema(
    [
        *_MODEL,
        *schema_of(kind=TEXT, rank=INT, unit=TEXT, case_id=TEXT, folds=INT),
        *_nullable(label=TEXT, predicted=TEXT, p=REAL, time=REAL, event=pa.bool_()),
        *_nullable(risk=REAL, wrong=REAL, pairs=REAL),
    ]
)
"""results/tasks/<task>/errors.parquet: the units that a model is most wrong about, worst first."""

PUBLISHED = pa.schema(
    [
        *_MODEL,
        *schema_of(metric=TEXT),
        *_nullable(mean=REAL, sd=REAL),
        *schema_of(folds=INT, published_mean=REAL, published_sd=REAL),
        *_nullable(test_share=REAL, difference=REAL, error=REAL, distance=REAL),
    ]
)
"""results/tasks/<task>/published.parquet: mean and deviation over folds beside those of others, one
row per model that has both; `distance` is the difference in standard errors of it."""


def predictions_schema(kind: str, outputs: int) -> pa.Schema:
    """results/tasks/<task>/<model>/<fraction>/predictions.parquet: one row per fold and test unit.

    Args:
        kind: `classification` (p_0 ... are the classes' probabilities as the model gives them,
            calibrated_0 ... those at the classes' prevalence) or `survival` (`risk` is high where
            the event comes early; hazard_0 ... are those of the time bins, if any).
        outputs: classes, or time bins.
    """
    if kind == "classification":
        calibrated = {f"calibrated_{k}": REAL for k in range(outputs)}
        return pa.schema([*_of_classes(outputs), *_nullable(**calibrated)])
    hazards = {f"hazard_{k}": REAL for k in range(outputs)}
    common = {"fold": INT, "unit": TEXT, "case_id": TEXT}
    return schema_of(**common, time=REAL, event=pa.bool_(), risk=REAL, **hazards)


def knn_schema(classes: int) -> pa.Schema:
    """results/knn/<task>.parquet: one row per level, distance, fold and test unit.

    Args:
        classes: p_0 ... are the shares of the neighbours that are of each.
    """
    return pa.schema([*schema_of(level=TEXT, distance=TEXT), *_of_classes(classes)])


def _of_classes(classes: int) -> pa.Schema:
    """Truth and probabilities of a unit in a fold."""
    p = {f"p_{k}": REAL for k in range(classes)}
    return schema_of(fold=INT, unit=TEXT, case_id=TEXT, y=INT, **p)
