# Stage 4: one job a shard for the editors that share a job, over all their benchmarks, pause counts and seeds.
localrules:
    edit,
    edit_over_network,


EDIT_GPUS = {job: settle.edit_gpus(asked) for job, asked in JOBS.items()}
OVER_NETWORK = [job for job, asked in JOBS.items() if settle.edits_over_network(asked)]


BASE = outside.model_files(CONFIG, "base")
EDIT_READS = {
    job: stamped("-".join(["samples", *SETS_OF[job]]), samples_of(SETS_OF[job]))
    + expand(f"{RESULTS}/runs/{{run}}/weights.json", run=settle.runs_of(asked))
    + (BASE if settle.needs_base(asked) else [])
    + outside.given(asked)
    for job, asked in JOBS.items()
}
EDIT_OPTIONS = {
    job: SAMPLE_OPTIONS[job] + options("weights", f"{RESULTS}/runs/{{}}/weights.json", settle.runs_of(asked))
    for job, asked in JOBS.items()
}
# What edits by an endpoint may cost; ancient: a new budget redoes nothing.
SPENDING = {job: f"{RESULTS}/mllms/config.json" if job in OVER_NETWORK else [] for job in JOBS}
SPENDING_READ = {job: ancient(file) if file else [] for job, file in SPENDING.items()}
SPENDING_OPTIONS = {job: each("mllms", [file] if file else []) for job, file in SPENDING.items()}


rule edit:
    input:
        shards_of("edits"),


rule edit_shard:
    input:
        config=f"{RESULTS}/edits/{{job}}/config.json",
        reads=by_job(EDIT_READS),
        mllms=by_job(SPENDING_READ),
    output:
        edits=f"{RESULTS}/edits/{{job}}/{{shard}}.parquet",
        contact=f"{RESULTS}/edits/{{job}}/{{shard}}.jpg",
    log:
        f"{LOGS}/edit_shard/{{job}}/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/edit_shard/{{job}}/{{shard}}.tsv"
    wildcard_constraints:
        job="|".join(job for job in JOBS if job not in OVER_NETWORK) if OVER_NETWORK else NAME,
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=lambda wildcards, attempt: grown(4000 + 28000 * EDIT_GPUS[wildcards.job], attempt),
        runtime=longer(1440),
        gpu=lambda wildcards: EDIT_GPUS[wildcards.job],
    params:
        reads=by_job(EDIT_OPTIONS),
        shards=by_job(SHARDS),
        mllms=by_job(SPENDING_OPTIONS),
    message:
        "edit with {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi edit shard --config {input.config:q} {params.reads:q} --shard {wildcards.shard:q}/{params.shards:q}"
        " {params.mllms:q} --out {output.edits:q} --contact {output.contact:q} --log {log:q}"


# Who asks an endpoint for edits runs where the network is.
use rule edit_shard as edit_over_network with:
    wildcard_constraints:
        job="|".join(OVER_NETWORK) or "none",
