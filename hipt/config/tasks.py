"""Tasks: what is predicted of slides and cases, how they are split, and with which models."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args

from pydantic import Field, model_validator

from hipt.config.section import Section

Model = Literal[
    "linear",
    "clinical",
    "clinical_linear",
    "hipt",
    "hipt_wsi",
    "hipt_finetuned",
    "hipt_scratch",
    "hipt_n",
    "mean",
    "max",
    "abmil",
    "clam_sb",
    "dsmil",
    "deepattnmisl",
    "dgcn",
]
GRIDS = ("hipt_finetuned", "hipt_scratch", "hipt_n")
"""Models that take the patch vectors of every region."""

Fraction = Annotated[float, Field(gt=0, le=1)]

LINEAR = "linear"
"""The baseline to beat, on mean vectors."""

CLINICAL, CLINICAL_LINEAR = "clinical", "clinical_linear"
"""The baseline on covariates alone, and on covariates and mean vectors."""

WITH_COVARIATES = (CLINICAL, CLINICAL_LINEAR)
"""Models that take covariates."""

CLOSED_FORM = (LINEAR, *WITH_COVARIATES)
"""Models of one vector per unit, fitted without epochs."""

INATTENTIVE = frozenset({*CLOSED_FORM, "mean"})
"""Models to which every region is the same: there is nothing to see in their attention."""

NEIGHBOURS = "knn"
"""In `published`: nearest neighbours, Euclidean on mean regions, as the paper has them."""

PUBLISHED = (*get_args(Model), NEIGHBOURS)
"""What a published number may be of."""

TaskName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
"""Letters, digits, - and _: it names a folder."""


class FitConfig(Section):
    """How the models of a task are fitted."""

    epochs: Annotated[int, Field(ge=1)] = 20
    """Passes over the training part; as many draws as it has units."""
    batch: Annotated[int, Field(ge=1)] = 1
    """Slides or cases per step; bags of different lengths are padded and masked."""
    lr: Annotated[float, Field(gt=0)] = 2e-4
    """Learning rate of Adam."""
    weight_decay: Annotated[float, Field(ge=0)] = 1e-5
    """L2 penalty, coupled as in Adam."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.25
    """Share of units dropped in training."""
    drop_regions: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Bag models: up to this share of a bag's regions is left out of each step, drawn anew."""
    average: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Bag models: weights are a moving average over the steps, with this decay; 0: the last."""
    balanced: bool = True
    """Draw every class equally often; for survival every time bin with and without event."""
    epoch: Literal["best", "last"] = "best"
    """`best`: the epoch with the lowest validation loss; `last`: the paper's protocol."""
    loss: Literal["nll", "cox"] = "nll"
    """Survival: discrete-time likelihood, or Cox's partial likelihood (`batch` above 1)."""
    bins: Annotated[int, Field(ge=2, le=50)] = 4
    """Survival: time bins, cut at quantiles of the training part's event times."""
    ridges: tuple[Annotated[float, Field(gt=0)], ...] = (0.1, 1.0, 10.0, 100.0, 1000.0, 10000.0)
    """`linear`, `clinical`, `clinical_linear`: penalties from which the validation part chooses."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Decides weights, draws and dropout, for each fold by itself."""


class TaskConfig(Section):
    """One prediction task."""

    kind: Literal["classification", "survival"]
    """What is predicted: a class, or the risk of an event in time."""
    label: str | None = None
    """Classification: column with the class."""
    time: str | None = None
    """Survival: column with the months until the event or the end of follow-up."""
    event: str | None = None
    """Survival: column with 1 where the event happened, 0 where it was not seen; or true and false,
    yes and no, `1:DECEASED` and `0:LIVING`, Dead and Alive."""
    zero_months: Annotated[float, Field(gt=0)] | None = None
    """Survival: months in place of a time of 0; null: cases with such a time are left out."""
    censorship: str | None = None
    """Survival: the opposite column, 1 where the event was not seen; instead of `event`."""
    covariates: tuple[str, ...] = ()
    """Columns for the models `clinical` (these alone) and `clinical_linear` (with mean vectors):
    numbers such as age, or words such as stage; they may have gaps."""
    labels: str | None = None
    """CSV or Parquet with slide_id or case_id (or a registry's PATIENT_ID, bcr_patient_barcode,
    case_submitter_id, _PATIENT) and these columns, as downloaded; null: the sheet."""
    classes: tuple[str, ...] | None = None
    """Classes in order, others are left out; null: all that occur, sorted."""
    unit: Literal["case", "slide"] | None = None
    """What gets a prediction; null: cases for survival, slides for classification."""
    features: str | None = None
    """Parquet with slide_id and embedding, a row per region; null: the workflow's own regions."""
    split: Literal["grouped", "site", "files"] = "grouped"
    """By case; by case and site; or as in `split_files`."""
    split_files: str | None = None
    """Folder of CLAM's splits_<k>.csv, or a Patho-Bench TSV."""
    folds: Annotated[int, Field(ge=2, le=100)] = 5
    """Folds; with `files` as many as there are."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the training cases that choose epoch and penalty."""
    train_fractions: tuple[Fraction, ...] = (1.0,)
    """Shares of the training part to fit with; smaller ones are parts of larger ones."""
    models: tuple[Model, ...] = ("linear", "hipt")
    """What is fitted; `linear` is the baseline to beat."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Decides folds, parts and bootstrap."""
    resamples: Annotated[int, Field(ge=100, le=100_000)] = 1000
    """Bootstrap resamples of cases behind every interval."""
    published: dict[str, dict[float, tuple[float, ...]]] = Field(default_factory=dict)
    """Numbers of others, shown beside ours: model (or `knn`), share of the training part, mean and
    standard deviation over folds of AUC or c-index: `{hipt: {1.0: [0.879, 0.062]}}`."""
    fit: FitConfig = FitConfig()
    fit_of: dict[str, FitConfig] = Field(default_factory=dict)
    """Models that are fitted in another way than `fit` says: `{hipt_wsi: {batch: 8}}`; what is not
    named there is at its default, and the outcome (`loss`, `bins`) is that of `fit`."""

    @property
    def by(self) -> Literal["case", "slide"]:
        """What gets a prediction."""
        return self.unit or ("case" if self.kind == "survival" else "slide")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns with what is predicted."""
        named = (self.label, self.time, self.event, self.censorship)
        return tuple(name for name in named if name is not None)

    @model_validator(mode="after")
    def _columns_named(self) -> Self:
        if self.kind == "classification":
            if self.label is None or self.time or self.event or self.censorship:
                raise ValueError("a classification needs label, and no time, event or censorship")
            if self.zero_months is not None:
                raise ValueError("zero_months is for survival; leave it out")
        elif self.time is None or self.label is not None or self.classes is not None:
            raise ValueError("a survival task needs time, and no label or classes")
        elif (self.event is None) == (self.censorship is None):
            raise ValueError("a survival task needs either event or censorship")
        if self.classes is not None and len(set(self.classes)) < max(2, len(self.classes)):
            raise ValueError("classes must be at least two, each named once")
        return self

    @property
    def columns_read(self) -> tuple[str, ...]:
        """The columns with what is predicted, and the covariates."""
        return (*self.columns, *self.covariates)

    @model_validator(mode="after")
    def _covariates_named(self) -> Self:
        if len(set(self.columns_read)) < len(self.columns_read):
            raise ValueError("covariates must be named once each, and not be what is predicted")
        clinical = [model for model in self.models if model in WITH_COVARIATES]
        if clinical and not self.covariates:
            raise ValueError(f"{clinical[0]} needs covariates: name columns such as age")
        if self.covariates and not clinical:
            raise ValueError(f"no model takes covariates; add {CLINICAL} or {CLINICAL_LINEAR}")
        return self

    @model_validator(mode="after")
    def _fitted(self) -> Self:
        if (self.split == "files") != (self.split_files is not None):
            raise ValueError("split_files and split: files go together")
        if self.fit.loss == "cox" and self.fit.batch < 2 and self.kind == "survival":
            raise ValueError("fit.loss: cox compares cases with each other; set fit.batch above 1")
        if self.features is not None and (grids := [m for m in self.models if m in GRIDS]):
            raise ValueError(f"{grids[0]} takes patches, which a file of features does not hold")
        for name in ("models", "train_fractions"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise ValueError(f"{name} must have at least one entry, each once")
        return self

    @model_validator(mode="after")
    def _fitted_otherwise(self) -> Self:
        for model, fit in self.fit_of.items():
            if model not in self.models:
                raise ValueError(f"fit_of: {model} is none of the task's models")
            if (fit.loss, fit.bins) != (self.fit.loss, self.fit.bins):
                raise ValueError(f"fit_of.{model}: loss and bins must be those of fit")
            if fit.loss == "cox" and fit.batch < 2 and self.kind == "survival":
                raise ValueError(f"fit_of.{model}: loss: cox needs a batch above 1")
        return self

    @model_validator(mode="after")
    def _published_numbers(self) -> Self:
        for model, numbers in self.published.items():
            if model not in PUBLISHED:
                raise ValueError(
                    f"published: there is no model '{model}' (known: {', '.join(PUBLISHED)})"
                )
            for fraction, pair in numbers.items():
                if not 0 < fraction <= 1:
                    raise ValueError(
                        f"published.{model}: {fraction:g} is no share of the training part; "
                        "it must be above 0 and at most 1"
                    )
                if len(pair) != 2 or not 0 <= pair[0] <= 1 or pair[1] < 0:
                    raise ValueError(
                        f"published.{model}.{fraction:g}: {list(pair)} is no mean (0 to 1) with "
                        "its standard deviation (0 or more)"
                    )
        return self


class KnnConfig(Section):
    """What mean embeddings know of classes without training: nearest neighbours vote."""

    k: Annotated[int, Field(ge=1, le=1000)] = 5
    """Nearest slides or cases of the training part that vote, each with one vote; paper: 5."""
    distances: tuple[Literal["euclidean", "cosine"], ...] = ("euclidean", "cosine")
    """What is near: by each of these; paper: euclidean."""
    levels: tuple[Literal["region", "patch"], ...] = ("region",)
    """Which vectors the mean is over: regions, or patches of the workflow's own."""
    tasks: tuple[TaskName, ...] | None = None
    """Names of tasks; null: every classification; []: none."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        for name in ("distances", "levels"):
            given = getattr(self, name)
            if not given or len(set(given)) < len(given):
                raise ValueError(f"{name} must have at least one entry, each once")
        return self
