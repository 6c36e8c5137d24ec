"""Schemas of what a task makes: folds, audit, predictions, scores, and what is drawn of them."""

from __future__ import annotations

import pyarrow as pa

from hipt.store.schemas import INT, REAL, TEXT, schema_of

FOLDS = pa.schema(
    [
        *(pa.field(c, TEXT, nullable=False) for c in ("slide_id", "case_id", "site", "unit")),
        pa.field("label", TEXT),
        pa.field("y", INT),
        pa.field("time", REAL),
        pa.field("event", pa.bool_()),
        pa.field("source", TEXT, nullable=False),
        pa.field("parts", pa.list_(pa.int8()), nullable=False),
    ]
)
"""results/tasks/<task>/folds.parquet: one row per slide of the task. `unit` is the slide or case
that gets a prediction; `source` names the content of the slide's embeddings; `parts` has one number
per fold: 0 training, 1 validation, 2 test, -1 not used."""

LEAKS = schema_of(fold=INT, kind=TEXT, value=TEXT, sides=TEXT, slides=INT)
"""results/tasks/<task>/leaks.parquet: cases, sites and contents of slides on two sides of a fold,
and what of the test part was in the pretraining corpus; one row each. See `hipt.tasks.folds.leaks`.
"""

LABELS = pa.schema(
    [
        *(pa.field(c, TEXT, nullable=False) for c in ("kind", "value", "meaning")),
        pa.field("slides", INT, nullable=False),
        pa.field("cases", INT),
    ]
)
"""results/tasks/<task>/labels.parquet: what became of the labels, see `hipt.tasks.labels.facts`."""

EPOCHS = schema_of(fold=INT, epoch=INT, train_loss=REAL, validation_loss=REAL, chosen=pa.bool_())
"""results/tasks/<task>/<model>/<fraction>/epochs.parquet: one row per fold and epoch."""

_MODEL = schema_of(task=TEXT, model=TEXT, fraction=REAL)
"""Of every row about a model that was fitted with a share of the training part."""

SCORES = pa.schema(
    [
        *_MODEL,
        pa.field("fold", INT),
        pa.field("metric", TEXT, nullable=False),
        pa.field("value", REAL),
        pa.field("low", REAL),
        pa.field("high", REAL),
        pa.field("units", INT, nullable=False),
        pa.field("note", TEXT),
    ]
)
"""results/tasks/<task>/scores.parquet: one row per model, fraction, fold and metric; without fold:
over all folds' test parts together, with a 95 % interval over cases. `note` says why a value or an
interval is missing, or what a value leaves out."""

DIFFERENCES = pa.schema(
    [
        *(pa.field(c, TEXT, nullable=False) for c in ("task", "model", "other")),
        pa.field("fraction", REAL, nullable=False),
        pa.field("metric", TEXT, nullable=False),
        *(pa.field(c, REAL) for c in ("difference", "low", "high", "p", "p_holm")),
        pa.field("note", TEXT),
    ]
)
"""results/tasks/<task>/differences.parquet: every pair of models on the same units; `difference` is
model minus other, p from the bootstrap over cases, p_holm corrected for all pairs of a fraction.
`note` says why one of them is missing."""

ROC = pa.schema(
    [
        *_MODEL,
        pa.field("label", TEXT, nullable=False),
        pa.field("against", TEXT),
        *schema_of(auc=REAL, positives=INT, negatives=INT),
        *schema_of(threshold=REAL, false_positive_rate=REAL, true_positive_rate=REAL),
    ]
)
"""results/tasks/<task>/roc.parquet: corners of ROC curves over all test parts together, of two
classes that of the second, of more each class against all others (`against` is null)."""

CALIBRATION = pa.schema(
    [
        *_MODEL,
        pa.field("label", TEXT),
        pa.field("calibrated", pa.bool_(), nullable=False),
        *schema_of(items=INT, predicted=REAL, observed=REAL, low=REAL, high=REAL),
        pa.field("expected_error", REAL, nullable=False),
    ]
)
"""results/tasks/<task>/calibration.parquet: bins of about as many predictions, one row each; of two
classes of the second's probability, of more of the likeliest class's (`label` is null)."""

SURVIVAL = pa.schema(
    [
        *_MODEL,
        *schema_of(group=TEXT, time=REAL, at_risk=INT, events=INT, censored=INT, survival=REAL),
        *(pa.field(c, REAL) for c in ("low", "high")),
    ]
)
"""results/tasks/<task>/survival.parquet: Kaplan-Meier curves of the units above (`high`) and below
(`low`) the median risk, from month 0 on one row per month in which something happens."""

ERRORS = pa.schema(
    [
        *_MODEL,
        *schema_of(kind=TEXT, rank=INT, unit=TEXT, case_id=TEXT, folds=INT),
        *(pa.field(c, TEXT) for c in ("label", "predicted")),
        *(pa.field(c, REAL) for c in ("p", "time")),
        pa.field("event", pa.bool_()),
        *(pa.field(c, REAL) for c in ("risk", "wrong", "pairs")),
    ]
)
"""results/tasks/<task>/errors.parquet: the units that a model is most wrong about, worst first."""

PUBLISHED = pa.schema(
    [
        *_MODEL,
        pa.field("metric", TEXT, nullable=False),
        *(pa.field(c, REAL) for c in ("mean", "sd")),
        *schema_of(folds=INT, published_mean=REAL, published_sd=REAL),
        *(pa.field(c, REAL) for c in ("test_share", "difference", "error", "distance")),
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
    common = {"fold": INT, "unit": TEXT, "case_id": TEXT}
    if kind == "classification":
        fields = [
            *_of_classes(outputs),
            *(pa.field(f"calibrated_{k}", REAL) for k in range(outputs)),
        ]
        return pa.schema(fields)
    hazards = {f"hazard_{k}": REAL for k in range(outputs)}
    return schema_of(**common, time=REAL, event=pa.bool_(), risk=REAL, **hazards)


def knn_schema(classes: int) -> pa.Schema:
    """results/knn/<task>.parquet: one row per level, distance, fold and test unit.

    Args:
        classes: p_0 ... are the shares of the neighbours that are of each.
    """
    head = schema_of(level=TEXT, distance=TEXT)
    return pa.schema([*head, *_of_classes(classes)])


def _of_classes(classes: int) -> pa.Schema:
    """Truth and probabilities of a unit in a fold."""
    p = {f"p_{k}": REAL for k in range(classes)}
    return schema_of(fold=INT, unit=TEXT, case_id=TEXT, y=INT, **p)
