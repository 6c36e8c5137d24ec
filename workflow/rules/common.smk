# The plan of the run, and the input and params functions of the rules; what they know is in
# hipt/planning. Nothing here writes except begin(), when a real run asks for its first job.
import shlex
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.settings.types import DeploymentMethod

# The release that these rules belong to: what they call has to be of the same.
VERSION = "0.1.0"


def package(source):
    """What pip installs to go with these rules: the sources they were fetched from."""
    if hasattr(source, "repo_path"):  # a local git repository
        return f"git+file://{Path(source.repo_path).absolute()}@{source.ref}"
    if hasattr(source, "host"):  # GitHub, GitLab
        return f"git+https://{source.host}/{source.repo}@{source.ref}"
    return f"hipt=={VERSION}"


# A checkout comes with its package; rules that were fetched need one that is installed.
CHECKOUT = Path(f"{workflow.current_basedir}").parents[1]
if (CHECKOUT / "hipt/__init__.py").exists():
    sys.path.insert(0, str(CHECKOUT))
try:
    import hipt
except ImportError:
    hipt = None
_installed = getattr(hipt, "__version__", None)
if _installed != VERSION:
    raise WorkflowError(
        f"This is the workflow of hipt {VERSION}, and the Python that runs Snakemake has "
        f"{f'the package of hipt {_installed}' if _installed else 'no package hipt'}; install the "
        f"one that belongs to it: pip install {shlex.quote(package(workflow.current_basedir))}"
    )

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


# Jobs use this hipt, wherever they are started; and, unless Snakemake deploys software itself, the
# Python that runs Snakemake.
HOME = Path(hipt.__file__).parents[1]
DEPLOYED = workflow.deployment_settings.deployment_method
# `tee` ends with the step and not before: what stops a job goes to all of its processes.
_commands = ["set -euo pipefail", """tee() { (trap '' INT TERM USR1; exec tee "$@"); }"""]
if HOME.name not in ("site-packages", "dist-packages"):
    _commands.append(f"export PYTHONPATH={shlex.quote(str(HOME))}${{PYTHONPATH:+:$PYTHONPATH}}")
elif DeploymentMethod.CONDA in DEPLOYED:
    raise WorkflowError(
        "Snakemake's own conda environments have no hipt, which is installed as a package here; "
        "leave out --sdm conda, or start from a checkout of hipt"
    )
if not DEPLOYED:
    _commands.append(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH")
SETUP = "; ".join(_commands)


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
        shell.prefix("exec 2>/dev/null; ")

# Resources of jobs, not params: another reader gives the same pixels, and another device or engine
# is no reason to do finished work again.
READER = CONFIG.slides.reader
DEVICE = CONFIG.device
ENGINE = CONFIG.embed.engine


# The workflows that include this one give each its own results, in its config alone: paths are in
# the settings of jobs too.
if workflow.modifier.path_modifier.replace_prefix(str(RESULTS.report)) != str(RESULTS.report):
    raise WorkflowError("prefix: moves no results of hipt; name the folder in its config, results:")
for _other in {id(made.module_globals): made.module_globals for made in workflow.rules}.values():
    if _other["__name__"] == __name__ or "PLAN" not in _other:
        continue
    if _other["PLAN"].results.root.resolve() == RESULTS.root.resolve():
        raise WorkflowError(
            f"The modules {_other['__name__']} and {__name__} have the same folder of results, "
            f"{RESULTS.root}; give each its own in its config, results:"
        )


@cache
def begin():
    """Look at the weights, where jobs have the Python of this run, and write down what jobs need."""
    try:
        if not DEPLOYED:
            load_weights(PLAN)
    except HiptError as error:  # of an Exception Snakemake would show the traceback
        raise SystemExit(str(error)) from None
    remember(PLAN)


def setup(wildcards):
    """What the shell of a job starts with: a resource, since Snakemake asks for those when it holds
    its lock and has something to do, and before it starts a job. There a real run begins, also
    where this workflow is a module, whose onstart nobody calls."""
    if workflow.is_main_process and workflow.executor_plugin is not None and not workflow.dryrun:
        begin()
    return SETUP


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


def labels(shows):
    """What Snakemake's report says of a file; of which module, where there may be several."""
    return {"shows": shows} | ({"module": __name__} if __name__ else {})


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
