# What many jobs read alike, as one file: with a score of common inputs each, ten thousand shards would take minutes to plan.
# A stamp holds the hashes of its files: who reads it reruns when one of them has other content, and at nothing else.
localrules:
    stamp,


rule stamp:
    input:
        lambda wildcards: STAMPED[wildcards.what],
    output:
        f"{RESULTS}/stamps/{{what}}.sha256",
    log:
        f"{LOGS}/stamp/{{what}}.log",
    wildcard_constraints:
        what="[a-z0-9_-]+",
    conda:
        "../../environment.yml"
    resources:
        mem_mb=1000,
        runtime=10,
    message:
        "stamp {wildcards.what}"
    shell:
        "sha256sum {input:q} > {output:q} 2> {log:q}"


# A job's shards may be many gigabytes: read where jobs run, several jobs' together.
use rule stamp as stamp_shards with:
    wildcard_constraints:
        what="(edits|scores)/[a-z0-9_]+",
    group:
        "stamps"
    resources:
        mem_mb=100,
        runtime=longer(60),
