# Both self-supervised stages. A model that is there is a source file: its rule exists only while the
# file is missing, so that no new slide and no setting can train it again or delete it.
if missing("patches"):

    rule pretrain_patches:
        input:
            indices("tile"),
        output:
            model=TRAINED["patches"],
            corpus=TRAINED["patches"].with_suffix(".corpus.csv"),
            metrics=TRAINED["patches"].with_suffix(".metrics.parquet"),
        log:
            f"{RESULTS.root}/logs/pretrain_patches.log",
        benchmark:
            f"{RESULTS.root}/benchmarks/pretrain_patches/all.tsv"
        conda:
            "../../environment.yml"
        threads: 16
        resources:
            setup=setup,
            mem_mb=grown(16000),
            runtime=2880,
            gpu=CONFIG.pretrain.processes,
            device=DEVICE,
            reader=READER,
        params:
            cfg=settings_of("pretrain"),
            processes=CONFIG.pretrain.processes,
        shell:
            """
            {resources.setup}
            python -m hipt pretrain --stage patches --cfg {params.cfg:q} \
                --processes {params.processes} --gpus {resources.gpu} --device {resources.device} \
                --threads {threads} --reader {resources.reader} --out {output.model:q} 2>&1 | tee {log:q} >&2
            """


if missing("regions"):

    rule pretrain_regions:
        input:
            indices("embed_patches"),
        output:
            model=TRAINED["regions"],
            corpus=TRAINED["regions"].with_suffix(".corpus.csv"),
            metrics=TRAINED["regions"].with_suffix(".metrics.parquet"),
        log:
            f"{RESULTS.root}/logs/pretrain_regions.log",
        benchmark:
            f"{RESULTS.root}/benchmarks/pretrain_regions/all.tsv"
        conda:
            "../../environment.yml"
        threads: 16
        resources:
            setup=setup,
            mem_mb=grown(8000),
            runtime=2880,
            gpu=CONFIG.pretrain.processes,
            device=DEVICE,
        params:
            cfg=settings_of("pretrain"),
            processes=CONFIG.pretrain.processes,
        shell:
            """
            {resources.setup}
            python -m hipt pretrain --stage regions --cfg {params.cfg:q} \
                --processes {params.processes} --gpus {resources.gpu} --device {resources.device} \
                --threads {threads} --out {output.model:q} 2>&1 | tee {log:q} >&2
            """
