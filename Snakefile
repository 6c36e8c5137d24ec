# Slides in, embeddings and one report out. What runs, in which order: workflow/rules/.
from snakemake.utils import min_version

min_version("9.10")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/slides.smk"
include: "workflow/rules/pretrain.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/tasks.smk"
include: "workflow/rules/views.smk"


# The last index of every batch is asked for too: without Snakemake's own records (somebody removed
# .snakemake/) a report that is there would be reason enough to do nothing for new slides.
rule all:
    default_target: True
    input:
        RESULTS.report,
        indices("embed_regions"),
        requested.exports(PLAN),


onstart:
    begin()
