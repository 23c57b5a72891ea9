# Stage 2: expressive plans for training, questions for the judge.
localrules:
    prompts,


rule prompts:
    input:
        f"{RESULTS}/prompts/plans.parquet",
        expand(f"{RESULTS}/prompts/{{set}}/questions.parquet", set=settle.asked_sets(CONFIG)),


rule prompts_plan:
    input:
        config=f"{RESULTS}/prompts/config.json",
        samples=f"{RESULTS}/data/train/samples.json",
    output:
        plans=f"{RESULTS}/prompts/plans.parquet",
    log:
        f"{LOGS}/prompts_plan.log",
    benchmark:
        f"{TIMINGS}/prompts_plan.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    message:
        "plan the training edits"
    shell:
        "madi prompts plan --config {input.config} --samples {input.samples} --out {output.plans} --log {log}"


rule prompts_questions:
    input:
        config=f"{RESULTS}/prompts/{{set}}/config.json",
        samples=f"{RESULTS}/data/{{set}}/samples.json",
    output:
        questions=f"{RESULTS}/prompts/{{set}}/questions.parquet",
    log:
        f"{LOGS}/prompts_questions/{{set}}.log",
    benchmark:
        f"{TIMINGS}/prompts_questions/{{set}}.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=2000,
        runtime=120,
    message:
        "ask the questions of {wildcards.set}"
    shell:
        "madi prompts questions --config {input.config} --samples {input.samples} --out {output.questions} --log {log}"
