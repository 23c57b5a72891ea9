# Stage 1: samples of every set, and latents of the training set.
localrules:
    data,
    data_fetch,  # needs the network


BENCHMARK_SETS = list(CONFIG.data.benchmarks)
FETCHES = outside.fetches(CONFIG)
LATENT_SHARDS = [f"{part:05d}" for part in range(CONFIG.data.latents.shards)]


rule data:
    input:
        expand(f"{RESULTS}/data/{{set}}/samples.json", set=outside.sets(CONFIG)),
        f"{RESULTS}/data/train/latents.parquet",


rule data_fetch:
    output:
        manifest=f"{RESULTS}/fetched/{{thing}}.json",
    log:
        f"{LOGS}/data_fetch/{{thing}}.log",
    benchmark:
        f"{TIMINGS}/data_fetch/{{thing}}.tsv"
    wildcard_constraints:
        thing="|".join(FETCHES) or "none",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(2000),
        runtime=longer(1440),
    params:
        options=lambda wildcards: FETCHES[wildcards.thing].options,
    message:
        "fetch {wildcards.thing}"
    shell:
        "madi data fetch {params.options:q} --manifest {output.manifest:q} --log {log:q}"


rule data_prepare:
    input:
        config=f"{RESULTS}/data/{{set}}/config.json",
        # what is learnt from may not show what a benchmark shows
        against=lambda wildcards: (
            []
            if wildcards.set in BENCHMARK_SETS
            else expand(f"{RESULTS}/data/{{set}}/samples.json", set=BENCHMARK_SETS)
        ),
        files=lambda wildcards: list(outside.published_files(CONFIG, wildcards.set).values()),
        captions=lambda wildcards: outside.captions(CONFIG, wildcards.set),
    output:
        samples=f"{RESULTS}/data/{{set}}/samples.json",
        report=f"{RESULTS}/data/{{set}}/report.json",
    log:
        f"{LOGS}/data_prepare/{{set}}.log",
    benchmark:
        f"{TIMINGS}/data_prepare/{{set}}.tsv"
    group:
        "data"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(2000),
        runtime=longer(480),
    params:
        against=lambda wildcards: (
            []
            if wildcards.set in BENCHMARK_SETS
            else options("against", f"{RESULTS}/data/{{}}/samples.json", BENCHMARK_SETS)
        ),
        files=lambda wildcards: [
            word
            for name, path in outside.published_files(CONFIG, wildcards.set).items()
            for word in ("--files", f"{name}={path}")
        ],
    message:
        "prepare the samples of {wildcards.set}"
    shell:
        "madi data prepare --config {input.config:q} {params.against:q} {params.files:q} --out {output.samples:q}"
        " --report {output.report:q} --log {log:q}"


rule data_latents:
    input:
        config=f"{RESULTS}/data/train/latents/config.json",
        samples=f"{RESULTS}/data/train/samples.json",
        base=outside.model_files(CONFIG, "base", "vae"),
    output:
        index=f"{RESULTS}/data/train/latents/{{shard}}.parquet",
        tensors=f"{RESULTS}/data/train/latents/{{shard}}.safetensors",
    log:
        f"{LOGS}/data_latents/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/data_latents/{{shard}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000 if CONFIG.data.latents.device == "cpu" else 12000),
        runtime=longer(240),
        gpu=int(CONFIG.data.latents.device == "cuda"),
    params:
        base=lambda wildcards: CONFIG.model.base,
    message:
        "encode the training images, shard {wildcards.shard}"
    shell:
        "madi data latents --config {input.config:q} --samples {input.samples:q} --base {params.base:q}"
        " --part {wildcards.shard:q} --index {output.index:q} --out {output.tensors:q} --log {log:q}"


rule data_check:
    input:
        config=f"{RESULTS}/data/train/latents/config.json",
        samples=f"{RESULTS}/data/train/samples.json",
        parts=expand(f"{RESULTS}/data/train/latents/{{shard}}.parquet", shard=LATENT_SHARDS),
        tensors=expand(f"{RESULTS}/data/train/latents/{{shard}}.safetensors", shard=LATENT_SHARDS),
    output:
        index=f"{RESULTS}/data/train/latents.parquet",
        report=f"{RESULTS}/data/train/latents.json",
    log:
        f"{LOGS}/data_check/train.log",
    benchmark:
        f"{TIMINGS}/data_check/train.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(2000),
        runtime=longer(120),
    params:
        parts=lambda wildcards, input: each("part", input.parts),
    message:
        "check the latents"
    shell:
        "madi data check --config {input.config:q} --samples {input.samples:q} {params.parts:q}"
        " --index {output.index:q} --report {output.report:q} --log {log:q}"
