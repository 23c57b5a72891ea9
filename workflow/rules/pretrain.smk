# The shipped weights of assets/tiny. Not part of `all`: `snakemake --cores 2 pretrain` rebuilds them in about two hours.
# Outputs are manifests, not the weights: those are inputs of other rules, and a fresh clone must not retrain them.


localrules:
    pretrain,


rule pretrain:
    input:
        expand("results/pretrain/{what}.json", what=["base", "clip", "vit"]),


rule pretrain_part:
    input:
        config="config/pretrain.yaml",
    output:
        manifest="results/pretrain/{what}.json",
    log:
        "results/pretrain/logs/{what}.log",
    benchmark:
        "results/pretrain/timings/{what}.tsv"
    wildcard_constraints:
        what="tokenizer|vae|clip|vit",
    conda:
        "../../environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=240,
    params:
        folder=lambda wildcards: {"clip": "assets/tiny/clip", "vit": "assets/tiny/dino"}.get(
            wildcards.what, f"results/pretrain/state/{wildcards.what}"
        ),
        state="results/pretrain/state",
    message:
        "pretrain {wildcards.what}"
    shell:
        "madi pretrain {wildcards.what} --config {input.config} --folder {params.folder} --state {params.state}"
        " --out {output.manifest} --log {log}"


rule pretrain_base:
    input:
        config="config/pretrain.yaml",
        tokenizer="results/pretrain/tokenizer.json",
        vae="results/pretrain/vae.json",
    output:
        manifest="results/pretrain/base.json",
    log:
        "results/pretrain/logs/base.log",
    benchmark:
        "results/pretrain/timings/base.tsv"
    conda:
        "../../environment.yml"
    threads: 2
    resources:
        mem_mb=6000,
        runtime=240,
    params:
        folder="assets/tiny/omnigen",
        state="results/pretrain/state",
    message:
        "pretrain the base"
    shell:
        "madi pretrain base --config {input.config} --folder {params.folder} --state {params.state}"
        " --out {output.manifest} --log {log}"
