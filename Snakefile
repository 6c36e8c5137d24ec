# The workflow itself is workflow/Snakefile, where other workflows find it too (docs/module.md).
include: "workflow/Snakefile"


# What is included has no say in what is made by default; nor has this, where it is a module.
if __name__ is None:
    workflow.default_target = "all"
