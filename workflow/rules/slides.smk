# From the sheet to manifests: tissue, then the grid; and the slide table.
rule segment:
    output:
        index=index("segment"),
    log:
        f"{RESULTS.root}/logs/segment/{{batch}}.log",
    benchmark:
        f"{RESULTS.root}/benchmarks/segment/{{batch}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        setup=setup,
        mem_mb=grown(2000),
        runtime=grown(120),
    params:
        cfg=settings_of("segment"),
        slides=of_batch(revisions.of_segment),
    shell:
        """
        {resources.setup}
        python -m hipt segment --cfg {params.cfg:q} --out {output.index:q} 2>&1 | tee {log:q} >&2
        """


rule tile:
    input:
        segment=index("segment"),
    output:
        index=index("tile"),
    log:
        f"{RESULTS.root}/logs/tile/{{batch}}.log",
    benchmark:
        f"{RESULTS.root}/benchmarks/tile/{{batch}}.tsv"
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        setup=setup,
        mem_mb=grown(1500),
        runtime=grown(60),
    params:
        cfg=settings_of("tile"),
        revision=of_batch(revisions.of_tile),
    shell:
        """
        {resources.setup}
        python -m hipt tile --segment {input.segment:q} --cfg {params.cfg:q} \
            --out {output.index:q} 2>&1 | tee {log:q} >&2
        """


rule slides:
    input:
        [indices(step) for step in EVERY_SLIDE],
    output:
        table=RESULTS.slides,
    log:
        f"{RESULTS.root}/logs/slides.log",
    conda:
        "../../environment.yml"
    resources:
        setup=setup,
        mem_mb=grown(2000),
        runtime=grown(30),
    params:
        cfg=settings_of("slides"),
        rows=revisions.of_slides(PLAN),
    shell:
        """
        {resources.setup}
        python -m hipt slides --cfg {params.cfg:q} --out {output.table:q} 2>&1 | tee {log:q} >&2
        """
