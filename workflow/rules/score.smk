# Stage 5: what the judge answers about one job's edits, and every number of them.
localrules:
    score,


# Who asks an endpoint runs where the network is.
if settle.endpoint(CONFIG, CONFIG.score.judge):

    localrules:
        score_judge,


SCORE_GPUS = {job: settle.score_gpus(CONFIG, job) for job in JOBS}


rule score:
    input:
        expand(f"{RESULTS}/scores/{{job}}/scores.parquet", job=JOBS),


rule score_judge:
    input:
        config=f"{RESULTS}/answers/{{job}}/config.json",
        edits=f"{RESULTS}/edits/{{job}}/edits.parquet",
        samples=lambda wildcards: expand(
            f"{RESULTS}/data/{{set}}/samples.json", set=settle.asked_sets(CONFIG, wildcards.job)
        ),
        questions=lambda wildcards: expand(
            f"{RESULTS}/prompts/{{set}}/questions.parquet", set=settle.asked_sets(CONFIG, wildcards.job)
        ),
        mllms=reached(CONFIG.score.judge),
    output:
        answers=f"{RESULTS}/answers/{{job}}/answers.parquet",
    log:
        f"{LOGS}/score_judge/{{job}}.log",
    benchmark:
        f"{TIMINGS}/score_judge/{{job}}.tsv"
    group:
        together("judge", CONFIG.score.judge)
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(4000 + 30000 * settle.gpus(CONFIG, CONFIG.score.judge)),
        runtime=longer(1440),
        gpu=settle.gpus(CONFIG, CONFIG.score.judge),
    params:
        samples=lambda wildcards: options(
            "benchmark", f"{RESULTS}/data/{{}}/samples.json", settle.asked_sets(CONFIG, wildcards.job)
        ),
        questions=lambda wildcards: options(
            "questions",
            f"{RESULTS}/prompts/{{}}/questions.parquet",
            settle.asked_sets(CONFIG, wildcards.job),
        ),
        cache=f"{RESULTS}/asked/answers",
        mllms=lambda wildcards, input: each("mllms", [input.mllms] if input.mllms else []),
    message:
        "judge the edits of {wildcards.job}"
    shell:
        "madi score judge --config {input.config} --edits {input.edits} {params.samples} {params.questions}"
        " {params.mllms} --cache {params.cache}/{wildcards.job}.jsonl --out {output.answers} --log {log}"


rule score_shard:
    input:
        config=f"{RESULTS}/scores/{{job}}/config.json",
        edits=f"{RESULTS}/edits/{{job}}/edits.parquet",
        samples=lambda wildcards: expand(
            f"{RESULTS}/data/{{set}}/samples.json", set=settle.asked_sets(CONFIG, wildcards.job)
        ),
        questions=lambda wildcards: expand(
            f"{RESULTS}/prompts/{{set}}/questions.parquet", set=settle.asked_sets(CONFIG, wildcards.job)
        ),
        answers=f"{RESULTS}/answers/{{job}}/answers.parquet",
        clip=settle.model_files(CONFIG, "clip"),
        dino=settle.model_files(CONFIG, "dino"),
        towers=settle.tower_files(CONFIG),
    output:
        scores=f"{RESULTS}/scores/{{job}}/scores.parquet",
    log:
        f"{LOGS}/score_shard/{{job}}.log",
    benchmark:
        f"{TIMINGS}/score_shard/{{job}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=lambda wildcards, attempt: grown(4000 + 8000 * SCORE_GPUS[wildcards.job], attempt),
        runtime=longer(480),
        gpu=lambda wildcards: SCORE_GPUS[wildcards.job],
    params:
        samples=lambda wildcards: options(
            "benchmark", f"{RESULTS}/data/{{}}/samples.json", settle.asked_sets(CONFIG, wildcards.job)
        ),
        questions=lambda wildcards: options(
            "questions",
            f"{RESULTS}/prompts/{{}}/questions.parquet",
            settle.asked_sets(CONFIG, wildcards.job),
        ),
    message:
        "score the edits of {wildcards.job}"
    shell:
        "madi score shard --config {input.config} --edits {input.edits} {params.samples} {params.questions}"
        " --answers {input.answers} --out {output.scores} --log {log}"
