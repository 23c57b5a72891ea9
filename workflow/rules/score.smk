# Stage 5: what the judge answers about a shard of a job's edits, and every number of them.
localrules:
    score,


# Who asks an endpoint runs where the network is.
if settle.endpoint(CONFIG, CONFIG.score.judge):

    localrules:
        score_judge,


SCORE_GPUS = {job: settle.score_gpus(CONFIG, found) for job, found in SETS_OF.items()}

QUESTIONS_OF = {
    job: expand(f"{RESULTS}/prompts/{{set}}/questions.parquet", set=found) for job, found in SETS_OF.items()
}
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
    group:
        together("judge", CONFIG.score.judge)
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000 + 30000 * settle.gpus(CONFIG, CONFIG.score.judge)),
        runtime=longer(1440),
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
        clip=settle.model_files(CONFIG, "clip"),
        dino=settle.model_files(CONFIG, "dino"),
        towers=settle.tower_files(CONFIG),
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
        runtime=longer(480),
        gpu=lambda wildcards: SCORE_GPUS[wildcards.job],
    params:
        samples=lambda wildcards: SAMPLE_OPTIONS[wildcards.job],
        questions=lambda wildcards: QUESTION_OPTIONS[wildcards.job],
    message:
        "score the edits of {wildcards.job}, shard {wildcards.shard}"
    shell:
        "madi score shard --config {input.config} --edits {input.edits} {params.samples} {params.questions}"
        " --answers {input.answers} --out {output.scores} --log {log}"
