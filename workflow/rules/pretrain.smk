# The shipped weights of assets/tiny. Not part of `all`: `snakemake --cores 2 pretrain` makes them in under four hours.
# Outputs are manifests, not the weights: those are inputs of other rules, and a fresh clone must not retrain them.
# What a part depends on is in its params: another value there reruns that part and those that read it, no other.
from madi.pretrain import settings as pretraining

PRETRAIN = "config/pretrain.yaml"
try:
    PRETRAINED = pretraining.read(PRETRAIN)
except MadiError as problem:
    raise WorkflowError(str(problem))


localrules:
    pretrain,


rule pretrain:
    input:
        expand("results/pretrain/{what}.json", what=["base", "clip", "vit"]),


rule pretrain_part:
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
    threads: PRETRAINED.threads
    resources:
        mem_mb=more(4000),
        runtime=longer(240),
    params:
        folder=lambda wildcards: {"clip": "assets/tiny/clip", "vit": "assets/tiny/dino"}.get(
            wildcards.what, f"results/pretrain/state/{wildcards.what}"
        ),
        config=PRETRAIN,
        state="results/pretrain/state",
        settings=lambda wildcards: pretraining.depends_on_text(PRETRAINED, wildcards.what),
    message:
        "pretrain {wildcards.what}"
    shell:
        "madi pretrain {wildcards.what:q} --config {params.config:q} --folder {params.folder:q} --state {params.state:q}"
        " --out {output.manifest:q} --log {log:q}"


rule pretrain_base:
    input:
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
    threads: PRETRAINED.threads
    resources:
        mem_mb=more(6000),
        runtime=longer(240),
    params:
        folder="assets/tiny/omnigen",
        config=PRETRAIN,
        state="results/pretrain/state",
        settings=pretraining.depends_on_text(PRETRAINED, "base"),
    message:
        "pretrain the base"
    shell:
        "madi pretrain base --config {params.config:q} --folder {params.folder:q} --state {params.state:q}"
        " --out {output.manifest:q} --log {log:q}"
