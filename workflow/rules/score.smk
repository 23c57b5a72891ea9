# Stage 5: what the judge answers about a shard of a job's edits, and every number of them.
localrules:
    score,


# Who asks an endpoint runs where the network is.
if settle.endpoint(CONFIG, CONFIG.score.judge):

    localrules:
        score_judge,


QUESTIONS_OF = {
    job: stamped(
        "-".join(["questions", *found]), expand(f"{RESULTS}/prompts/{{set}}/questions.parquet", set=found)
    )
    for job, found in SETS_OF.items()
}
SCORERS = stamped(
    "scorers",
    settle.model_files(CONFIG, "clip") + settle.model_files(CONFIG, "dino") + settle.tower_files(CONFIG),
)
QUESTION_OPTIONS = {
    job: options("questions", f"{RESULTS}/prompts/{{}}/questions.parquet", found)
    for job, found in SETS_OF.items()
}


rule score:
    input:
        shards_of("scores"),


rule score_judge:
    input:
        config=f"{RESULTS}/answers/{{job}}/config.json",
        edits=f"{RESULTS}/edits/{{job}}/{{shard}}.parquet",
        samples=lambda wildcards: SAMPLES_OF[wildcards.job],
        questions=lambda wildcards: QUESTIONS_OF[wildcards.job],
        mllms=reached(CONFIG.score.judge),
    output:
        answers=f"{RESULTS}/answers/{{job}}/{{shard}}.parquet",
    log:
        f"{LOGS}/score_judge/{{job}}/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/score_judge/{{job}}/{{shard}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=4000 + 30000 * settle.gpus(CONFIG, CONFIG.score.judge),
        runtime=1440,
        gpu=settle.gpus(CONFIG, CONFIG.score.judge),
    params:
        samples=lambda wildcards: SAMPLE_OPTIONS[wildcards.job],
        questions=lambda wildcards: QUESTION_OPTIONS[wildcards.job],
        cache=f"{RESULTS}/asked/answers",
        mllms=lambda wildcards, input: each("mllms", [input.mllms] if input.mllms else []),
    message:
        "judge the edits of {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi score judge --config {input.config} --edits {input.edits} {params.samples} {params.questions}"
        " {params.mllms} --cache {params.cache}/{wildcards.job}/{wildcards.shard}.jsonl --out {output.answers} --log {log}"


rule score_shard:
    input:
        config=f"{RESULTS}/scores/{{job}}/config.json",
        edits=f"{RESULTS}/edits/{{job}}/{{shard}}.parquet",
        samples=lambda wildcards: SAMPLES_OF[wildcards.job],
        questions=lambda wildcards: QUESTIONS_OF[wildcards.job],
        answers=f"{RESULTS}/answers/{{job}}/{{shard}}.parquet",
        scorers=SCORERS,
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
        mem_mb=4000,
        runtime=480,
    params:
        samples=lambda wildcards: SAMPLE_OPTIONS[wildcards.job],
        questions=lambda wildcards: QUESTION_OPTIONS[wildcards.job],
    message:
        "score the edits of {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi score shard --config {input.config} --edits {input.edits} {params.samples} {params.questions}"
        " --answers {input.answers} --out {output.scores} --log {log}"
