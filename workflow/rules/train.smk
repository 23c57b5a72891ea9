# Stage 3: one job a run. Its state lies outside the outputs, so that an interrupted run goes on where it stopped.
localrules:
    train,


MASKING = [name for name, run in CONFIG.train.runs.items() if run.magd]


rule train:
    input:
        expand(f"{RESULTS}/runs/{{run}}/weights.json", run=CONFIG.train.runs),


rule train_run:
    input:
        config=f"{RESULTS}/runs/{{run}}/config.json",
        samples=f"{RESULTS}/data/train/samples.json",
        # other runs do not read the plans, and do not depend on them
        plans=lambda wildcards: (
            f"{RESULTS}/prompts/plans.parquet" if CONFIG.train.runs[wildcards.run].wants_plans else []
        ),
        latents=f"{RESULTS}/data/train/latents.parquet",
        tensors=expand(f"{RESULTS}/data/train/latents/{{shard}}.safetensors", shard=LATENT_SHARDS),
        validation=lambda wildcards: (
            f"{RESULTS}/data/validation/samples.json"
            if CONFIG.train.runs[wildcards.run].validate_edits
            else []
        ),
        base=outside.model_files(CONFIG, "base"),
    output:
        weights=f"{RESULTS}/runs/{{run}}/weights.json",
        table=f"{RESULTS}/runs/{{run}}/train.csv",
    log:
        f"{LOGS}/train_run/{{run}}.log",
    benchmark:
        f"{TIMINGS}/train_run/{{run}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads * CONFIG.train.processes
    resources:
        # the same at every attempt, of which there may be many: each goes on where the one before stopped
        mem_mb=CONFIG.train.memory_mb,
        gpu=CONFIG.train.processes * (CONFIG.train.device == "cuda"),
        runtime=CONFIG.train.minutes,
    params:
        launch=settle.launcher(CONFIG),
        # a go ends by itself before its limit, with room to start and to write a state
        budget=round(0.95 * CONFIG.train.minutes, 1),
        plans=lambda wildcards, input: each("plans", [input.plans] if input.plans else []),
        validation=lambda wildcards, input: each("validation", [input.validation] if input.validation else []),
        state=f"{RESULTS}/state",
        track=f"{LOGS}/tensorboard",
    message:
        "train {wildcards.run}"
    shell:
        "{params.launch} train run --config {input.config:q} --samples {input.samples:q} {params.plans:q}"
        " {params.validation:q} --latents {input.latents:q} --out {output.weights:q} --state {params.state:q}"
        " --table {output.table:q} --track {params.track:q} --budget-minutes {params.budget:q} --log-to {log:q}"


rule train_figure:
    input:
        config=expand(f"{RESULTS}/runs/{{run}}/config.json", run=MASKING[:1]),
        samples=f"{RESULTS}/data/train/samples.json",
        base=outside.model_files(CONFIG, "base"),
    output:
        figure=f"{RESULTS}/figures/figure_1.png",
    log:
        f"{LOGS}/train_figure.log",
    benchmark:
        f"{TIMINGS}/train_figure.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(8000),
        runtime=longer(30),
    message:
        "draw what MAgD does to a target"
    shell:
        "madi train figure --config {input.config:q} --samples {input.samples:q} --out {output.figure:q} --log {log:q}"
