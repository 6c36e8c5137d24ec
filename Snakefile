# The workflow itself is workflow/Snakefile, where other workflows find it too (docs/module.md).
include: "workflow/Snakefile"


# What is included has no say in what is made by default; nor has this, where it is a module.
rule default:
    default_target: __name__ is None
    input:
        rules.all.input,
