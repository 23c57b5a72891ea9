# Stage 4: one job for the editors that share it, over all their benchmarks, pause counts and seeds.
localrules:
    edit,
    edit_over_network,


EDIT_GPUS = {job: settle.edit_gpus(CONFIG, job) for job in JOBS}


rule edit:
    input:
        expand(f"{RESULTS}/edits/{{job}}/edits.parquet", job=JOBS),


rule edit_shard:
    input:
        config=f"{RESULTS}/edits/{{job}}/config.json",
        samples=lambda wildcards: expand(
            f"{RESULTS}/data/{{set}}/samples.json", set=settle.asked_sets(CONFIG, wildcards.job)
        ),
        weights=lambda wildcards: expand(
            f"{RESULTS}/runs/{{run}}/weights.json", run=settle.runs_of(CONFIG, wildcards.job)
        ),
        base=lambda wildcards: (
            settle.model_files(CONFIG, "base") if settle.needs_base(CONFIG, wildcards.job) else []
        ),
        given=lambda wildcards: settle.given(CONFIG, wildcards.job),
    output:
        edits=f"{RESULTS}/edits/{{job}}/edits.parquet",
        contact=f"{RESULTS}/edits/{{job}}/contact.jpg",
    log:
        f"{LOGS}/edit_shard/{{job}}.log",
    benchmark:
        f"{TIMINGS}/edit_shard/{{job}}.tsv"
    wildcard_constraints:
        job="|".join(job for job in JOBS if not settle.edits_over_network(CONFIG, job)) or "none",
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=lambda wildcards, attempt: grown(4000 + 28000 * EDIT_GPUS[wildcards.job], attempt),
        runtime=longer(1440),
        gpu=lambda wildcards: EDIT_GPUS[wildcards.job],
    params:
        samples=lambda wildcards: options(
            "benchmark", f"{RESULTS}/data/{{}}/samples.json", settle.asked_sets(CONFIG, wildcards.job)
        ),
        weights=lambda wildcards: options(
            "weights", f"{RESULTS}/runs/{{}}/weights.json", settle.runs_of(CONFIG, wildcards.job)
        ),
    message:
        "edit with {wildcards.job}"
    shell:
        "madi edit shard --config {input.config} {params.samples} {params.weights}"
        " --out {output.edits} --contact {output.contact} --log {log}"


# Who asks an endpoint for edits runs where the network is.
use rule edit_shard as edit_over_network with:
    wildcard_constraints:
        job="|".join(job for job in JOBS if settle.edits_over_network(CONFIG, job)) or "none",
