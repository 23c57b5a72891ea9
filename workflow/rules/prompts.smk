# Stage 2: expressive plans for training, questions for the judge.
localrules:
    prompts,
    prompts_join,


# Who asks an endpoint runs where the network is.
if settle.endpoint(CONFIG, CONFIG.prompts.plans.provider):

    localrules:
        prompts_plan,


if settle.endpoint(CONFIG, CONFIG.prompts.questions.provider):

    localrules:
        prompts_questions,


PLAN_SHARDS = [f"{part:05d}" for part in range(CONFIG.prompts.plans.shards)]


rule prompts:
    input:
        f"{RESULTS}/prompts/plans.parquet",
        expand(f"{RESULTS}/prompts/{{set}}/questions.parquet", set=ASKED),


rule prompts_plan:
    input:
        config=f"{RESULTS}/prompts/config.json",
        samples=f"{RESULTS}/data/train/samples.json",
        mllms=reached(CONFIG.prompts.plans.provider),
    output:
        plans=f"{RESULTS}/prompts/plans/{{shard}}.parquet",
    log:
        f"{LOGS}/prompts_plan/{{shard}}.log",
    benchmark:
        f"{TIMINGS}/prompts_plan/{{shard}}.tsv"
    group:
        together("plans", CONFIG.prompts.plans.provider)
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(2000 + 30000 * settle.gpus(CONFIG, CONFIG.prompts.plans.provider)),
        runtime=longer(720),
        gpu=settle.gpus(CONFIG, CONFIG.prompts.plans.provider),
        asking=int(settle.endpoint(CONFIG, CONFIG.prompts.plans.provider)),
    params:
        cache=f"{RESULTS}/asked/plans",
        mllms=how(CONFIG.prompts.plans.provider),
    message:
        "plan the training edits, shard {wildcards.shard}"
    shell:
        "madi prompts plan --config {input.config:q} --samples {input.samples:q} --part {wildcards.shard:q}"
        " {params.mllms:q} --cache {params.cache:q}/{wildcards.shard:q}.jsonl --out {output.plans:q} --log {log:q}"


rule prompts_join:
    input:
        expand(f"{RESULTS}/prompts/plans/{{shard}}.parquet", shard=PLAN_SHARDS),
    output:
        plans=f"{RESULTS}/prompts/plans.parquet",
    log:
        f"{LOGS}/prompts_join.log",
    benchmark:
        f"{TIMINGS}/prompts_join.tsv"
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(2000),
        runtime=longer(60),
    message:
        "join the plans"
    shell:
        "madi prompts join {input:q} --out {output.plans:q} --log {log:q}"


rule prompts_questions:
    input:
        config=f"{RESULTS}/prompts/{{set}}/config.json",
        samples=f"{RESULTS}/data/{{set}}/samples.json",
        mllms=reached(CONFIG.prompts.questions.provider),
    output:
        questions=f"{RESULTS}/prompts/{{set}}/questions.parquet",
    log:
        f"{LOGS}/prompts_questions/{{set}}.log",
    benchmark:
        f"{TIMINGS}/prompts_questions/{{set}}.tsv"
    group:
        together("questions", CONFIG.prompts.questions.provider)
    conda:
        "../../environment.yml"
    resources:
        mem_mb=more(2000 + 30000 * settle.gpus(CONFIG, CONFIG.prompts.questions.provider)),
        runtime=longer(720),
        gpu=settle.gpus(CONFIG, CONFIG.prompts.questions.provider),
        asking=int(settle.endpoint(CONFIG, CONFIG.prompts.questions.provider)),
    params:
        cache=f"{RESULTS}/asked/questions",
        mllms=how(CONFIG.prompts.questions.provider),
    message:
        "ask the questions of {wildcards.set}"
    shell:
        "madi prompts questions --config {input.config:q} --samples {input.samples:q}"
        " {params.mllms:q} --cache {params.cache:q}/{wildcards.set:q}.jsonl --out {output.questions:q} --log {log:q}"
