# What people see.
rule report:
    input:
        slides=RESULTS.slides,
    output:
        page=RESULTS.report,
    log:
        f"{RESULTS.root}/logs/report.log",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
    params:
        cfg=told("report"),
        revision=revision("report"),
    shell:
        """
        python -m hipt report --slides {input.slides:q} --cfg {params.cfg:q} \
            --out {output.page:q} 2>&1 | tee {log:q} >&2
        """
