# Stage 1: samples of every set, and latents of the training set.
localrules:
    data,


BENCHMARK_SETS = list(CONFIG.data.benchmarks)


rule data:
    input:
        expand(f"{RESULTS}/data/{{set}}/samples.parquet", set=settle.sets(CONFIG)),
        f"{RESULTS}/data/train/latents.parquet",


rule data_prepare:
    input:
        config=f"{RESULTS}/data/{{set}}/config.json",
        # what is learnt from may not show what a benchmark shows
        against=lambda wildcards: (
            []
            if wildcards.set in BENCHMARK_SETS
            else expand(f"{RESULTS}/data/{{set}}/samples.parquet", set=BENCHMARK_SETS)
        ),
    output:
        samples=f"{RESULTS}/data/{{set}}/samples.parquet",
        report=f"{RESULTS}/data/{{set}}/report.json",
    log:
        f"{LOGS}/data_prepare/{{set}}.log",
    benchmark:
        f"{TIMINGS}/data_prepare/{{set}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    params:
        against=lambda wildcards: (
            ""
            if wildcards.set in BENCHMARK_SETS
            else options("against", f"{RESULTS}/data/{{}}/samples.parquet", BENCHMARK_SETS)
        ),
    message:
        "prepare the samples of {wildcards.set}"
    shell:
        "madi data prepare --config {input.config} {params.against} --out {output.samples}"
        " --report {output.report} --log {log}"


rule data_latents:
    input:
        config=f"{RESULTS}/data/{{set}}/config.json",
        samples=f"{RESULTS}/data/{{set}}/samples.parquet",
        base=settle.files_in(f"{CONFIG.model.base}/vae"),
    output:
        index=f"{RESULTS}/data/{{set}}/latents.parquet",
        tensors=f"{RESULTS}/data/{{set}}/latents.safetensors",
    log:
        f"{LOGS}/data_latents/{{set}}.log",
    benchmark:
        f"{TIMINGS}/data_latents/{{set}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        base=lambda wildcards: CONFIG.model.base,
    message:
        "encode the images of {wildcards.set}"
    shell:
        "madi data latents --config {input.config} --samples {input.samples} --base {params.base:q}"
        " --index {output.index} --out {output.tensors} --log {log}"
