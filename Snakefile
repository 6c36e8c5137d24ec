# Slides in, embeddings and one report out. What runs, in which order: workflow/rules/.
from snakemake.utils import min_version

min_version("9.10")


configfile: f"{workflow.basedir}/config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/slides.smk"
include: "workflow/rules/embed.smk"
include: "workflow/rules/views.smk"


rule all:
    default_target: True
    input:
        RESULTS.report,


onstart:
    look()
    remember()
