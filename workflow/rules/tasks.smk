# Prediction tasks: folds and their audit, one fit per model and training fraction, the scores; and
# what nearest neighbours know of the same folds.
if CONFIG.tasks:

    checkpoint split:
        input:
            slides=slides_of_task,
            given=of_task(requested.given_files),
        output:
            folds=f"{RESULTS.root}/tasks/{{task}}/folds.parquet",
            leaks=f"{RESULTS.root}/tasks/{{task}}/leaks.parquet",
            labels=f"{RESULTS.root}/tasks/{{task}}/labels.parquet",
        log:
            f"{RESULTS.root}/logs/split/{{task}}.log",
        conda:
            "../../environment.yml"
        resources:
            setup=setup,
            mem_mb=grown(4000),
            runtime=grown(60),
        params:
            cfg=settings_of("split"),
            slides=str(RESULTS.slides),
            rows=of_task(revisions.of_split),
        shell:
            """
            {resources.setup}
            python -m hipt split --slides {params.slides:q} --cfg {params.cfg:q} \
                --leaks {output.leaks:q} --out {output.folds:q} 2>&1 | tee {log:q} >&2
            """

    rule fit:
        input:
            folds=folds_of_task,
        output:
            table=f"{RESULTS.root}/tasks/{{task}}/{{model}}/{{fraction}}/predictions.parquet",
            epochs=f"{RESULTS.root}/tasks/{{task}}/{{model}}/{{fraction}}/epochs.parquet",
        log:
            f"{RESULTS.root}/logs/fit/{{task}}.{{model}}.{{fraction}}.log",
        benchmark:
            f"{RESULTS.root}/benchmarks/fit/{{task}}.{{model}}.{{fraction}}.tsv"
        conda:
            "../../environment.yml"
        threads: 16
        resources:
            setup=setup,
            mem_mb=grown(8000),
            runtime=grown(240),
            gpu=0,
            device=DEVICE,
        params:
            cfg=settings_of("fit"),
            slides=str(RESULTS.slides),
            version=version_of("fit"),
        shell:
            """
            {resources.setup}
            python -m hipt fit --folds {input.folds:q} --slides {params.slides:q} \
                --cfg {params.cfg:q} --threads {threads} --gpus {resources.gpu} \
                --device {resources.device} --out {output.table:q} 2>&1 | tee {log:q} >&2
            """

    rule evaluate:
        input:
            folds=folds_of_task,
            tables=of_task(requested.fits),
        output:
            scores=f"{RESULTS.root}/tasks/{{task}}/scores.parquet",
            differences=f"{RESULTS.root}/tasks/{{task}}/differences.parquet",
            roc=f"{RESULTS.root}/tasks/{{task}}/roc.parquet",
            calibration=f"{RESULTS.root}/tasks/{{task}}/calibration.parquet",
            survival=f"{RESULTS.root}/tasks/{{task}}/survival.parquet",
            errors=f"{RESULTS.root}/tasks/{{task}}/errors.parquet",
            published=f"{RESULTS.root}/tasks/{{task}}/published.parquet",
        log:
            f"{RESULTS.root}/logs/evaluate/{{task}}.log",
        conda:
            "../../environment.yml"
        resources:
            setup=setup,
            mem_mb=grown(4000),
            runtime=grown(60),
        params:
            cfg=settings_of("evaluate"),
            slides=str(RESULTS.slides),
            version=version_of("evaluate"),
        shell:
            """
            {resources.setup}
            python -m hipt evaluate --predictions {input.tables:q} --cfg {params.cfg:q} \
                --folds {input.folds:q} --slides {params.slides:q} \
                --differences {output.differences:q} --out {output.scores:q} \
                2>&1 | tee {log:q} >&2
            """

    rule knn:
        input:
            folds=folds_of_task,
        output:
            table=f"{RESULTS.root}/knn/{{task}}.parquet",
            scores=f"{RESULTS.root}/knn/{{task}}.scores.parquet",
            published=f"{RESULTS.root}/knn/{{task}}.published.parquet",
        log:
            f"{RESULTS.root}/logs/knn/{{task}}.log",
        benchmark:
            f"{RESULTS.root}/benchmarks/knn/{{task}}.tsv"
        conda:
            "../../environment.yml"
        resources:
            setup=setup,
            mem_mb=grown(8000),
            runtime=grown(120),
        params:
            cfg=settings_of("knn"),
            slides=str(RESULTS.slides),
            version=version_of("knn"),
        shell:
            """
            {resources.setup}
            python -m hipt knn --folds {input.folds:q} --slides {params.slides:q} \
                --cfg {params.cfg:q} --scores {output.scores:q} --out {output.table:q} \
                2>&1 | tee {log:q} >&2
            """
