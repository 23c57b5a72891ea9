# Stage 5: what the judge answers about a shard of a job's edits, and every number of them.
localrules:
    score,


# Who asks an endpoint runs where the network is.
if settle.endpoint(CONFIG, CONFIG.score.judge):

    localrules:
        score_judge,


SCORE_GPUS = {job: settle.score_gpus(CONFIG, found) for job, found in SETS_OF.items()}


SCORERS = (
    outside.model_files(CONFIG, "clip") + outside.model_files(CONFIG, "dino") + outside.tower_files(CONFIG)
)
JUDGE_READS = {
    job: stamped("-".join(["judged", *sets]), samples_of(sets) + questions_of(sets))
    for job, sets in SETS_OF.items()
}
SCORE_READS = {
    job: stamped("-".join(["scored", *sets]), samples_of(sets) + questions_of(sets) + SCORERS)
    for job, sets in SETS_OF.items()
}
SCORE_OPTIONS = {
    job: SAMPLE_OPTIONS[job] + options("questions", f"{RESULTS}/prompts/{{}}/questions.parquet", sets)
    for job, sets in SETS_OF.items()
}


rule score:
    input:
        shards_of("scores"),


rule score_judge:
    input:
        config=f"{RESULTS}/answers/{{job}}/config.json",
        edits=f"{RESULTS}/edits/{{job}}/{{shard}}.parquet",
        reads=by_job(JUDGE_READS),
        mllms=reached(CONFIG.score.judge),
    output:
        answers=f"{RESULTS}/answers/{{job}}/{{shard}}.parquet",
    log:
        f"{LOGS}/score_judge/{{job}}/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/score_judge/{{job}}/{{shard}}.tsv"
    group:
        together("judge", CONFIG.score.judge)
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000 + 30000 * settle.gpus(CONFIG, CONFIG.score.judge)),
        runtime=longer(1440 if CONFIG.score.judge in CONFIG.mllms else 120),
        gpu=settle.gpus(CONFIG, CONFIG.score.judge),
        asking=int(settle.endpoint(CONFIG, CONFIG.score.judge)),
    params:
        reads=by_job(SCORE_OPTIONS),
        cache=f"{RESULTS}/asked/answers",
        mllms=how(CONFIG.score.judge),
    message:
        "judge the edits of {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi score judge --config {input.config:q} --edits {input.edits:q} {params.reads:q}"
        " {params.mllms:q} --cache {params.cache:q}/{wildcards.job:q}/{wildcards.shard:q}.jsonl --out {output.answers:q} --log {log:q}"


rule score_shard:
    input:
        config=f"{RESULTS}/scores/{{job}}/config.json",
        edits=f"{RESULTS}/edits/{{job}}/{{shard}}.parquet",
        answers=f"{RESULTS}/answers/{{job}}/{{shard}}.parquet",
        reads=by_job(SCORE_READS),
    output:
        scores=f"{RESULTS}/scores/{{job}}/{{shard}}.parquet",
    log:
        f"{LOGS}/score_shard/{{job}}/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/score_shard/{{job}}/{{shard}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=lambda wildcards, attempt: grown(4000 + 8000 * SCORE_GPUS[wildcards.job], attempt),
        runtime=longer(1440),
        gpu=lambda wildcards: SCORE_GPUS[wildcards.job],
    params:
        reads=by_job(SCORE_OPTIONS),
    message:
        "score the edits of {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi score shard --config {input.config:q} --edits {input.edits:q} {params.reads:q}"
        " --answers {input.answers:q} --out {output.scores:q} --log {log:q}"
