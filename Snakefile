# The whole of madi as one workflow: `snakemake --cores all` makes every table of config/demo.yaml.
# A stage alone: `snakemake --cores all data` (or prompts, train, edit, score, tables). What is left: add -n.
from snakemake.utils import min_version

min_version("9.10")

if "name" not in config:

    configfile: "config/demo.yaml"


include: "workflow/rules/common.smk"  # the config, its slices, and where everything lies
include: "workflow/rules/settle.smk"  # each job's slice of the config
include: "workflow/rules/stamp.smk"  # what many jobs read alike, as one file
include: "workflow/rules/data.smk"  # samples and latents
include: "workflow/rules/prompts.smk"  # plans and questions
include: "workflow/rules/train.smk"  # runs
include: "workflow/rules/edit.smk"  # edits
include: "workflow/rules/score.smk"  # scores
include: "workflow/rules/tables.smk"  # tables, figures, the report
include: "workflow/rules/pretrain.smk"  # the shipped weights, apart from the rest


# Snakemake shows a rule's message or what its jobs ask for: a dry run shows both.
if workflow.output_settings.dryrun:
    for one in workflow.rules:
        if one.message and "runtime" in one.resources:
            asked = [name for name in ("mem_mb", "runtime", "gpu") if name in one.resources]
            one.message += f" ({', '.join(f'{name}={{resources.{name}}}' for name in asked)})"


rule all:
    default_target: True
    input:
        rules.train.input,
        rules.edit.input,
        rules.score.input,
        rules.tables.input,
