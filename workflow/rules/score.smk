# Stage 5: every number of one job's edits.
localrules:
    score,


rule score:
    input:
        expand(f"{RESULTS}/scores/{{job}}/scores.parquet", job=JOBS),


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
        clip=settle.model_files(CONFIG, "clip"),
        dino=settle.model_files(CONFIG, "dino"),
    output:
        scores=f"{RESULTS}/scores/{{job}}/scores.parquet",
        answers=f"{RESULTS}/scores/{{job}}/answers.parquet",
    log:
        f"{LOGS}/score_shard/{{job}}.log",
    benchmark:
        f"{TIMINGS}/score_shard/{{job}}.tsv"
    conda:
        "../../environment.yml"
    threads: CONFIG.threads
    resources:
        mem_mb=4000,
        runtime=480,
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
        " --out {output.scores} --answers {output.answers} --log {log}"
