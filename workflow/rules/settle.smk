# Writes each job's slice of the config. Jobs read their slice only, so a changed value reruns those that hold it.
# A shell line, not a verb: a scale has some forty slices, and forty starts of Python would take half a minute.
localrules:
    settle,


rule settle:
    output:
        f"{RESULTS}/{{part}}/config.json",
    log:
        f"{LOGS}/settle/{{part}}.log",
    wildcard_constraints:
        part=f"{NAME}(/{NAME})*",
    conda:
        "../../environment.yml"
    params:
        slice=lambda wildcards: slice_of(wildcards.part),
    message:
        "settle {wildcards.part}"
    shell:
        "printf '%s\\n' {params.slice:q} > {output:q} 2> {log:q}"
