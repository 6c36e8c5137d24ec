# What people see, and what features know where there are labels.
if PLAN.probed:

    rule probe:
        input:
            slides=RESULTS.slides,
            regions=indices("embed_regions"),
            labels=PLAN.labels.probe_maps,
        output:
            table=RESULTS.probe,
        log:
            f"{RESULTS.root}/logs/probe.log",
        benchmark:
            f"{RESULTS.root}/benchmarks/probe/all.tsv"
        conda:
            "../../environment.yml"
        threads: 16
        resources:
            setup=setup,
            mem_mb=grown(6000),
            runtime=grown(60),
        params:
            cfg=settings_of("probe"),
            rows=revisions.of_probe(PLAN),
        shell:
            """
            {resources.setup}
            python -m hipt probe --slides {input.slides:q} --cfg {params.cfg:q} \
                --threads {threads} --out {output.table:q} 2>&1 | tee {log:q} >&2
            """


rule attend:
    input:
        regions=index("embed_regions"),
        fits=requested.viewed_fits(PLAN),
    output:
        index=index("attend"),
    log:
        f"{RESULTS.root}/logs/attend/{{batch}}.log",
    benchmark:
        f"{RESULTS.root}/benchmarks/attend/{{batch}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        setup=setup,
        mem_mb=grown(6000),
        runtime=grown(120),
    params:
        cfg=settings_of("attend"),
        slides=of_batch(revisions.mapped),
        listed=str(RESULTS.mapped),
        revision=revision("attend"),
    shell:
        """
        {resources.setup}
        python -m hipt attend --regions {input.regions:q} --cfg {params.cfg:q} \
            --listed {params.listed:q} --threads {threads} --out {output.index:q} \
            2>&1 | tee {log:q} >&2
        """


if requested.agreement(PLAN):

    rule agreement:
        input:
            slides=RESULTS.slides,
            maps=indices("attend"),
            labels=PLAN.labels.target_maps,
        output:
            table=RESULTS.agreement,
        log:
            f"{RESULTS.root}/logs/agreement.log",
        conda:
            "../../environment.yml"
        resources:
            setup=setup,
            mem_mb=grown(2000),
            runtime=grown(60),
        params:
            cfg=settings_of("agreement"),
            revision=revision("agreement"),
        shell:
            """
            {resources.setup}
            python -m hipt agreement --slides {input.slides:q} --cfg {params.cfg:q} \
                --out {output.table:q} 2>&1 | tee {log:q} >&2
            """


if requested.examples(PLAN):

    rule examples:
        input:
            fits=of_task(requested.fits),
        output:
            picture=report(
                f"{RESULTS.root}/tasks/{{task}}/examples.jpg",
                caption="../report/examples.rst",
                category="Tasks",
                subcategory="{task}",
                labels=labels("most and least attention"),
            ),
            figures=multiext(f"{RESULTS.figures}/examples-{{task}}", ".pdf", ".svg"),
        log:
            f"{RESULTS.root}/logs/examples/{{task}}.log",
        conda:
            "../../environment.yml"
        resources:
            setup=setup,
            mem_mb=grown(2000),
            runtime=grown(60),
        params:
            cfg=settings_of("examples"),
            slides=str(RESULTS.slides),
            revision=revision("examples"),
        shell:
            """
            {resources.setup}
            python -m hipt examples --slides {params.slides:q} --cfg {params.cfg:q} \
                --out {output.picture:q} 2>&1 | tee {log:q} >&2
            """


if CONFIG.export.formats:

    rule export:
        input:
            slides=RESULTS.slides,
            regions=indices("embed_regions"),
        output:
            table=f"{RESULTS.root}/export/{{format}}.parquet",
        log:
            f"{RESULTS.root}/logs/export/{{format}}.log",
        benchmark:
            f"{RESULTS.root}/benchmarks/export/{{format}}.tsv"
        conda:
            "../../environment.yml"
        resources:
            setup=setup,
            mem_mb=grown(4000),
            runtime=grown(120),
        params:
            cfg=settings_of("export"),
            rows=revisions.of_export(PLAN),
        shell:
            """
            {resources.setup}
            python -m hipt export --slides {input.slides:q} --format {wildcards.format:q} \
                --cfg {params.cfg:q} --out {output.table:q} 2>&1 | tee {log:q} >&2
            """


rule report:
    input:
        maps=indices("attend"),
        agreement=requested.agreement(PLAN),
        examples=requested.examples(PLAN),
        slides=RESULTS.slides,
        probe=[RESULTS.probe] if PLAN.probed else [],
        scores=scores(),
    output:
        page=report(
            RESULTS.report,
            caption="../report/page.rst",
            category="Report",
            labels=labels("everything on one page"),
        ),
        excerpts=report(
            directory(RESULTS.excerpts),
            patterns=[
                f"{{category}}/{{subject}}/{{shows}}.{kind}" for kind in ("html", "svg", "jpg")
            ],
            caption="../report/excerpt.rst",
            category="{category}",
            subcategory="{subject}",
            labels=labels("{shows}"),
        ),
    log:
        f"{RESULTS.root}/logs/report.log",
    conda:
        "../../environment.yml"
    resources:
        setup=setup,
        mem_mb=grown(4000),
        runtime=grown(60),
    params:
        cfg=settings_of("report"),
        revision=revision("report"),
    shell:
        """
        {resources.setup}
        python -m hipt report --slides {input.slides:q} --cfg {params.cfg:q} \
            --out {output.page:q} 2>&1 | tee {log:q} >&2
        """
