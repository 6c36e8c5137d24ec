# The plan of the run, and the input and params functions of the rules; what they know is in
# hipt/planning. Nothing here writes except begin(), which runs when a real run starts.
import shlex
import sys
from contextlib import contextmanager
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

from hipt.config.step_settings import settings, task_settings
from hipt.errors import HiptError
from hipt.planning import requested, revisions
from hipt.planning.plan import read_plan
from hipt.planning.start import load_weights, remember
from hipt.registry import COMMANDS, EVERY_SLIDE, version_of
from hipt.status import terminal


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


@contextmanager
def in_a_sentence():
    """What the user can put right, as Snakemake prints it: without a traceback."""
    try:
        yield
    except HiptError as error:
        raise WorkflowError(str(error)) from None


with in_a_sentence():
    PLAN = read_plan(config, logger.log if workflow.is_main_process else None)

CONFIG = PLAN.config
RESULTS = PLAN.results
TRAINED = PLAN.trained
FEATURES = PLAN.features

# A line per job on the terminal. What jobs say themselves is in their logs: `tee` writes it there,
# and to a terminal that nobody looks at.
if workflow.is_main_process and workflow.modifier.is_main_snakefile():
    watched = terminal.Watched(RESULTS, CONFIG, PLAN.placed, PLAN.unseen)
    if terminal.take_over(logger, workflow.output_settings, watched):
        shell.prefix(" ".join(["set -euo pipefail;", *_exports, "exec 2>/dev/null;", ""]))

# Resources of jobs, not params: another reader gives the same pixels, and another device or engine
# is no reason to do finished work again.
READER = CONFIG.slides.reader
DEVICE = CONFIG.device
ENGINE = CONFIG.embed.engine


def begin():
    """Look at the weights, where jobs have the Python of this run, and write down what jobs need."""
    if not workflow.deployment_settings.deployment_method:
        with in_a_sentence():
            load_weights(PLAN)
    remember(PLAN)


def settings_of(step):
    """A step's settings as the one JSON text that it is given: a change of it reruns the step."""
    if COMMANDS[step].per == "task":
        return lambda wildcards: task_settings(step, CONFIG, wildcards.task).model_dump_json()
    return settings(step, CONFIG).model_dump_json()


def revision(step):
    """What else reruns a step: its version, and the content of its weights."""
    return revisions.revision(PLAN, step)


def of_batch(function):
    """What a function of hipt.planning says of the batch of a job."""
    return lambda wildcards: function(PLAN, wildcards.batch)


def of_task(function):
    """What a function of hipt.planning says of the task of a job."""
    return lambda wildcards: function(PLAN, wildcards.task)


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
    return str(RESULTS.index(step, "{batch}"))


def indices(step):
    """A step's indices of all live batches; of attend of those that have a slide to map."""
    return requested.indices(PLAN, step)


def slides_of_task(wildcards):
    """The slide table, where a task takes the workflow's own embeddings."""
    return RESULTS.slides if CONFIG.tasks[wildcards.task].features is None else []


def folds_of_task(wildcards):
    """The folds, once they are known: what is the same as before reruns nothing."""
    return checkpoints.split.get(task=wildcards.task).output.folds


def scores():
    """What evaluate makes of all tasks, and the neighbours of those that ask them."""
    if not CONFIG.tasks:
        return []
    fitted = expand(rules.evaluate.output, task=CONFIG.tasks)
    return fitted + expand(rules.knn.output, task=CONFIG.knn_tasks)
