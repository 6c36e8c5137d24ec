# The config checked, the sheet read, the batches formed; input and params functions of the rules.
# Nothing here writes except remember(), which runs when a real run starts.
import os
import shlex
import subprocess
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from hipt.config import config as hipt_config
from hipt.config import section as hipt_section
from hipt.config import tasks as hipt_tasks
from hipt.config import step_settings as hipt_told
from hipt.cohort.folder import departed
from hipt.cohort.masks import missing_masks
from hipt.embedding.timm_revision import timm_revision
from hipt.errors import HiptError
from hipt.cohort.ledger import read_ledger, updated, write_ledger
from hipt.pretraining.corpus_choice import chosen
from hipt.embedding.weights_identity import remember_sha256, weights_identity
from hipt.exchange.feature_files import FeatureFiles
from hipt.tasks.labels.label_maps import label_maps, slide_labels, target_maps
from hipt.heatmaps.chosen import write_mapped
from hipt.config.trained import resolved, trained
from hipt.layout import Results
from hipt.store.provenance import fingerprint
from hipt.cohort.sheet import read_with_remarks, refuse_unknown
from hipt.steps import VERSION


wildcard_constraints:
    batch=r"b\d+",
    task=r"[A-Za-z0-9][A-Za-z0-9_-]*",
    model=r"[a-z0-9_]+",
    fraction=r"[0-9.e-]+",
    format=r"[a-z]+",


# Jobs use this checkout's hipt, wherever they are started; and, unless Snakemake deploys software
# itself, the Python that runs Snakemake. Braces are doubled because Snakemake formats the text.
_exports = [f"export PYTHONPATH={shlex.quote(workflow.basedir)}${{{{PYTHONPATH:+:$PYTHONPATH}}}};"]
if not workflow.deployment_settings.deployment_method:
    _exports.append(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH;")
shell.prefix(" ".join(["set -euo pipefail;", *_exports, ""]))

try:
    ASKED = hipt_section.parse(hipt_config.Config, config, "config")
    TRAINED = trained(ASKED)
    CONFIG = resolved(ASKED)
    RESULTS = Results(Path(CONFIG.results))
    _given = CONFIG.slides
    _sheet = Path(_given.sheet)
    SHEET, _remarks = read_with_remarks(_sheet, _given.root, _given.case_from, _given.missing)
    _before = read_ledger(RESULTS.batches)
    if workflow.is_main_process:
        _ids = [row.slide_id for row in SHEET]
        for _remark in (*_remarks, *departed(_sheet, _before.batch_of, _ids)):
            logger.info(f"{_sheet}: {_remark}")
    # On a cluster every job reads the workflow again. There the digests that the run wrote down at
    # its start hold: asking for every slide's file once per job would swamp a network disk.
    _digest_of = {} if workflow.is_main_process else _before.digest_of
    LEDGER = updated(
        _before,
        {row.slide_id: _digest_of.get(row.slide_id) or row.digest() for row in SHEET},
        CONFIG.slides.batch_size,
    )
    # Labels that are not there are said now, not after hours of embedding.
    PROBED = bool(CONFIG.probe.labels or CONFIG.probe.column)
    LABELS = slide_labels(SHEET, CONFIG.probe.column, CONFIG.slides.missing)
    LABEL_MAPS = sorted(label_maps(SHEET, CONFIG.probe.labels).values())
    SEEN_MAPS = sorted(target_maps(SHEET, CONFIG.attend.labels, CONFIG.attend.target).values())
    if CONFIG.attend.slides != "all":
        refuse_unknown(SHEET, CONFIG.attend.slides, "attend.slides")
    if workflow.is_main_process:  # once per run: on a cluster every job reads the workflow again
        if _remark := missing_masks(SHEET):
            logger.warning(_remark)
        for _stage in TRAINED:
            chosen(SHEET, getattr(CONFIG.pretrain, _stage).corpus)
        if CONFIG.tasks:
            from hipt.tasks.beforehand import refuse_tasks

            for _sentence in refuse_tasks(CONFIG, SHEET):
                logger.info(_sentence)
    # A model that is trained here is an input file of its rule; its content is no param, since it is
    # not known before.
    WEIGHTS = {
        f"embed_{stage}": (
            hipt_config.PRETRAIN
            if stage in TRAINED
            else weights_identity(f"embed.{stage}", section, RESULTS.digests)
        )
        for stage, section in (("patches", CONFIG.embed.patches), ("regions", CONFIG.embed.regions))
    }
    # Features that another tool has made, in place of stage 1.
    FEATURES = CONFIG.embed.patches.features and FeatureFiles.named(CONFIG.embed.patches.features)
except HiptError as error:
    raise WorkflowError(str(error)) from None

# Resources of jobs, not params: another reader gives the same pixels, and another device is no
# reason to do finished work again.
READER = CONFIG.slides.reader
DEVICE = CONFIG.device

MEMBERS = LEDGER.members()
# A batch all of whose slides left the sheet is no longer asked for.
BATCHES = sorted({LEDGER.batch_of[row.slide_id] for row in SHEET}, key=lambda name: int(name[1:]))

# The slides that get heatmaps, batch by batch.
MAPPED = {}
_asked = frozenset(CONFIG.attend.slides) if CONFIG.attend.slides != "all" else None
for _row in SHEET:
    if _asked is None or _row.slide_id in _asked:
        MAPPED.setdefault(LEDGER.batch_of[_row.slide_id], []).append(_row.slide_id)


def remember():
    """Write down what jobs and later runs have to find; a dry run never comes here."""
    write_ledger(RESULTS.batches, LEDGER)
    remember_sha256(RESULTS.digests)
    if MAPPED:
        write_mapped(RESULTS.mapped, [slide_id for ids in MAPPED.values() for slide_id in ids])


def look():
    """Load the weights before hours are spent on slides; where jobs have the Python of this run."""
    patches, regions = CONFIG.embed.patches, CONFIG.embed.regions
    named = [patches.weights, regions.weights, patches.encoder != "hipt"]
    if not any(named) or workflow.deployment_settings.deployment_method:
        return
    command = [sys.executable, "-m", "hipt", "check", "--weights"]
    environment = os.environ | {"PYTHONPATH": workflow.basedir}
    done = subprocess.run(
        [*command, "--cfg", hipt_told.shortened(ASKED).model_dump_json()],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise WorkflowError(done.stderr.strip())


def told(step):
    """A step's settings as the one JSON text that it is given: a change of it reruns the step."""
    return hipt_told.settings(step, CONFIG).model_dump_json()


def noted(step, rows):
    """A step's version and the digest of what else it reads: Snakemake keeps it with every output
    and compares it in every plan, so that it must not grow with the sheet."""
    return {"version": VERSION[step], "rows": fingerprint(rows=rows)}


def slides_of(wildcards):
    """What else reruns segment: its version, and its slides' sheet rows and files."""
    return noted("segment", MEMBERS[wildcards.batch])


def mapped_of(wildcards):
    """What else reruns attend: which of its slides get maps."""
    return fingerprint(slides=MAPPED[wildcards.batch])


def revision(step):
    """What else reruns a later step: its version, the content of its weights, and of stage 1 the
    version of timm where its config says what the network takes."""
    software = timm_revision(CONFIG.embed.patches) if step == "embed_patches" else {}
    return {"version": VERSION[step], "weights": WEIGHTS.get(step)} | software


def revision_of_grid(wildcards):
    """What else reruns tile: its version, and its slides' files of imported features."""
    if not FEATURES:
        return revision("tile")
    files = fingerprint(files=FEATURES.digests(MEMBERS[wildcards.batch]))
    return revision("tile") | {"features": files}


def sheet_rows():
    """What else reruns the slide table: the sheet's rows but for their labels."""
    rows = [[row.slide_id, row.case_id, row.site, str(row.path), row.exclude] for row in SHEET]
    return noted("slides", rows)


def probed_rows():
    """What else reruns the probe: its version, and the sheet's cases and labels."""
    rows = [[row.slide_id, row.case_id, LABELS.get(row.slide_id)] for row in SHEET]
    return noted("probe", rows)


def grown(amount):
    """A resource that doubles with each attempt, for profiles that send a failed job again."""
    return lambda wildcards, attempt: amount * 2 ** (attempt - 1)


def model(stage):
    """The model that a stage is embedded with, where the workflow trains it; else nothing."""
    return TRAINED.get(stage, [])


def missing(stage):
    """Whether a model has to be trained."""
    return stage in TRAINED and not TRAINED[stage].exists()


def index(step):
    """Path of a step's index with the batch wildcard in it."""
    return f"{RESULTS.root}/{step}/index/{{batch}}.parquet"


def indices(step):
    """A step's indices of all live batches."""
    return expand(index(step), batch=BATCHES)


def told_of_task(step):
    """The settings of a step of a task, as one JSON text."""

    def told(wildcards):
        return hipt_told.task_settings(step, CONFIG, wildcards.task).model_dump_json()

    return told


def slides_of_task(wildcards):
    """The slide table, where a task takes the workflow's own embeddings."""
    return RESULTS.slides if CONFIG.tasks[wildcards.task].features is None else []


def task_files(wildcards):
    """What a task names from outside: labels, features."""
    task = CONFIG.tasks[wildcards.task]
    return [path for path in (task.labels, task.features) if path is not None]


def task_rows(wildcards):
    """What else reruns the split: its version, cases, sites and the sheet's labels of the task."""
    columns = CONFIG.tasks[wildcards.task].columns
    rows = [
        [row.slide_id, row.case_id, row.site, row.exclude, [row.labels.get(c) for c in columns]]
        for row in SHEET
    ]
    return noted("split", rows)


def folds_of_task(wildcards):
    """The folds, once they are known: what is the same as before reruns nothing."""
    return checkpoints.split.get(task=wildcards.task).output.folds


def predictions_of_task(wildcards):
    """All fits of a task, in the order of its models."""
    task = CONFIG.tasks[wildcards.task]
    return [
        str(RESULTS.fit(wildcards.task, model, f"{fraction:g}", "predictions.parquet"))
        for fraction in task.train_fractions
        for model in task.models
    ]


def maps():
    """The heatmaps' indices of all batches that have a slide to map."""
    return expand(index("attend"), batch=[batch for batch in BATCHES if batch in MAPPED])


def agreement():
    """How well maps find what was labelled, where somebody asks."""
    return [RESULTS.agreement] if SEEN_MAPS and maps() else []


def examples():
    """The contact sheets of all tasks that maps look into."""
    viewed = hipt_told.settings("attend", CONFIG).viewed if CONFIG.attend.examples else ()
    attentive = [task for task in viewed if set(task.models) - hipt_tasks.INATTENTIVE]
    return [str(RESULTS.task(task.name, "examples.jpg")) for task in attentive]


def fits_of_views():
    """The fits that maps look into."""
    return [
        str(RESULTS.fit(task.name, model, f"{task.fraction:g}", "predictions.parquet"))
        for task in hipt_told.settings("attend", CONFIG).viewed
        for model in task.models
    ]


def scores():
    """What evaluate makes of all tasks, and the neighbours of those that ask them."""
    if not CONFIG.tasks:
        return []
    fitted = expand(rules.evaluate.output, task=CONFIG.tasks)
    return fitted + expand(rules.knn.output, task=CONFIG.knn_tasks)


def exports():
    """The list of what was exported, for every format that is asked for."""
    return [f"{RESULTS.export(name)}.parquet" for name in CONFIG.export.formats]


def exported_rows():
    """What else reruns the export: its version, and the sheet's cases and labels."""
    rows = [[row.slide_id, row.case_id, row.labels] for row in SHEET]
    return noted("export", rows)
