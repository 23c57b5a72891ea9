# Stage 3: one job a run. Its state lies outside the outputs, so that an interrupted run goes on where it stopped.
localrules:
    train,


rule train:
    input:
        expand(f"{RESULTS}/runs/{{run}}/weights.json", run=CONFIG.train.runs),


rule train_run:
    input:
        config=f"{RESULTS}/runs/{{run}}/config.json",
        samples=f"{RESULTS}/data/train/samples.parquet",
        # other runs do not read the plans, and do not depend on them
        plans=lambda wildcards: (
            f"{RESULTS}/prompts/plans.parquet" if CONFIG.train.runs[wildcards.run].expressive else []
        ),
        latents=f"{RESULTS}/data/train/latents.parquet",
        tensors=f"{RESULTS}/data/train/latents.safetensors",
        base=settle.files_in(CONFIG.model.base),
    output:
        weights=f"{RESULTS}/runs/{{run}}/weights.json",
        table=f"{RESULTS}/runs/{{run}}/train.csv",
    log:
        f"{LOGS}/train_run/{{run}}.log",
    benchmark:
        f"{TIMINGS}/train_run/{{run}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        plans=lambda wildcards, input: each("plans", [input.plans] if input.plans else []),
        state=f"{RESULTS}/state",
    message:
        "train {wildcards.run}"
    shell:
        "madi train run --config {input.config} --samples {input.samples} {params.plans}"
        " --latents {input.latents} --out {output.weights} --state {params.state} --table {output.table} --log {log}"
