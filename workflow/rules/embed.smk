# Stage 1 and stage 2: patches to vectors, grids of vectors to one vector per region.
rule embed_patches:
    input:
        tile=index("tile"),
        weights=model("patches"),
    output:
        index=index("embed_patches"),
    log:
        f"{RESULTS.root}/logs/embed_patches/{{batch}}.log",
    benchmark:
        f"{RESULTS.root}/benchmarks/embed_patches/{{batch}}.tsv"
    conda:
        "../../environment.yml"
    threads: 16
    resources:
        setup=setup,
        mem_mb=grown(6000),
        runtime=grown(240),
        gpu=0 if FEATURES else 1,
        device=DEVICE,
        reader=READER,
        engine=ENGINE,
    params:
        cfg=settings_of("embed_patches"),
        revision=revision("embed_patches"),
    shell:
        """
        {resources.setup}
        python -m hipt embed_patches --tile {input.tile:q} --cfg {params.cfg:q} \
            --threads {threads} --reader {resources.reader} --gpus {resources.gpu} \
            --device {resources.device} --engine {resources.engine} --out {output.index:q} 2>&1 | tee {log:q} >&2
        """


rule embed_regions:
    input:
        patches=index("embed_patches"),
        weights=model("regions"),
    output:
        index=index("embed_regions"),
    log:
        f"{RESULTS.root}/logs/embed_regions/{{batch}}.log",
    benchmark:
        f"{RESULTS.root}/benchmarks/embed_regions/{{batch}}.tsv"
    conda:
        "../../environment.yml"
    threads: 4
    resources:
        setup=setup,
        mem_mb=grown(3000),
        runtime=grown(60),
        engine=ENGINE,
    params:
        cfg=settings_of("embed_regions"),
        revision=revision("embed_regions"),
    shell:
        """
        {resources.setup}
        python -m hipt embed_regions --patches {input.patches:q} --cfg {params.cfg:q} \
            --threads {threads} --engine {resources.engine} --out {output.index:q} 2>&1 | tee {log:q} >&2
        """
