# Stage 4: one job a shard for the editors that share a job, over all their benchmarks, pause counts and seeds.
localrules:
    edit,


BASE = settle.model_files(CONFIG, "base")
EDIT_READS = {
    job: stamped("-".join(["samples", *SETS_OF[job]]), samples_of(SETS_OF[job]))
    + expand(f"{RESULTS}/runs/{{run}}/weights.json", run=settle.runs_of(asked))
    + (BASE if settle.needs_base(asked) else [])
    + settle.given(asked)
    for job, asked in JOBS.items()
}
EDIT_OPTIONS = {
    job: f'{SAMPLE_OPTIONS[job]} {options("weights", f"{RESULTS}/runs/{{}}/weights.json", settle.runs_of(asked))}'
    for job, asked in JOBS.items()
}


rule edit:
    input:
        shards_of("edits"),


rule edit_shard:
    input:
        config=f"{RESULTS}/edits/{{job}}/config.json",
        reads=by_job(EDIT_READS),
    output:
        edits=f"{RESULTS}/edits/{{job}}/{{shard}}.parquet",
        contact=f"{RESULTS}/edits/{{job}}/{{shard}}.jpg",
    log:
        f"{LOGS}/edit_shard/{{job}}/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/edit_shard/{{job}}/{{shard}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime=1440,
    params:
        reads=by_job(EDIT_OPTIONS),
        shards=len(SHARDS),
    message:
        "edit with {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi edit shard --config {input.config} {params.reads} --shard {wildcards.shard}/{params.shards}"
        " --out {output.edits} --contact {output.contact} --log {log}"
