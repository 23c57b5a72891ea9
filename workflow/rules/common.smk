# Shared by all stages: the checked config, its slices, folders, and how `madi` is called.
import gc
import sys
from inspect import signature
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from madi import check, cluster, config as scales, jobs, outside, settle
from madi.errors import MadiError

try:
    CONFIG = scales.parse(config)
    check.check_files(CONFIG)
    if not workflow.remote_exec and not workflow.subprocess_exec:
        cluster.check(sys.argv[1:], workflow.output_settings.dryrun)
    DECLARED = settle.declared(CONFIG)
    SLICES = settle.slices(CONFIG, DECLARED)
except MadiError as problem:
    raise WorkflowError(str(problem))

# Changed code reruns nothing by itself: what other code has trained stands, and is named.
if not workflow.remote_exec and not workflow.subprocess_exec:
    settle.warn_of_other_code(CONFIG)

# A plan of ten thousand jobs is millions of objects that stay: looking through them for rubbish takes a quarter of its time.
gc.set_threshold(200_000, 20, 100)

RESULTS = f"results/{CONFIG.name}"
LOGS = f"{RESULTS}/logs"
TIMINGS = f"{RESULTS}/timings"
JOBS = settle.jobs(CONFIG)
SHARDS = settle.shards(CONFIG)
ASKED = settle.sets_of(CONFIG.edit.asks.values())

# What runs elsewhere than Snakemake does may have no network: there, nothing waits for a hub that does not answer.
OFFLINE = " HF_HUB_OFFLINE=1" if workflow.remote_exec else ""

# Jobs find `madi` without an activated environment, and use as many threads as the config says, wherever they run.
shell.prefix(
    f"set -euo pipefail; export PATH={quote(str(Path(sys.executable).parent))}:$PATH{OFFLINE}"
    f" OMP_NUM_THREADS={CONFIG.threads} MKL_NUM_THREADS={CONFIG.threads} TOKENIZERS_PARALLELISM=false; "
)


# By form, not by name: a list of a thousand would be gone through for each of ten thousand files.
NAME = "[a-z0-9][a-z0-9_]*"


wildcard_constraints:
    set="|".join(outside.sets(CONFIG)),
    job=NAME,
    run=NAME,
    shard=r"\d{5}",


# A shell line quotes every word that it is given (`{...:q}`): options are lists of words, never a text of several.
def options(name, file, parts):
    """The words `--name part=file` for each part, `{}` in `file` standing for the part."""
    return [word for part in parts for word in (f"--{name}", f"{part}={file.format(part)}")]


def each(name, files):
    """The words `--name file` for each file."""
    return [word for file in files for word in (f"--{name}", str(file))]


def grown(size, attempt):
    """Memory (MB) or minutes of a job: half as much again each time that a profile tries it again."""
    return size * (attempt + 1) // 2


def more(size):
    """The same, for a resource that is one number."""
    return lambda wildcards, attempt: grown(size, attempt)


def longer(minutes):
    """Minutes that grow up to a day, which partitions seldom go beyond: a job of more would never start."""
    return lambda wildcards, attempt: max(minutes, min(grown(minutes, attempt), 1440))


def together(stage, name):
    """The group of a stage's jobs where who is asked by this name answers at once: several make one job of a cluster.
    None where a model answers: that has a GPU to itself, or is reached where the network is, as no group is.
    """
    return None if name in CONFIG.mllms else stage


def reached(name):
    """The file that says how a model is reached, where `name` is one's; ancient: a new price redoes nothing."""
    return ancient(f"{RESULTS}/mllms/config.json") if name in CONFIG.mllms else []


def how(name):
    """That file as an option."""
    return each("mllms", [f"{RESULTS}/mllms/config.json"] if name in CONFIG.mllms else [])


STAMPED = {}


def stamped(what, files):
    """One file that stands for several, see stamp.smk; for one, itself."""
    if len(files) < 2:
        return files
    STAMPED[what] = files
    return [f"{RESULTS}/stamps/{what}.sha256"]


def shards_of(part, *names):
    """The shards of some jobs, or of all."""
    return [
        f"{RESULTS}/{part}/{job}/{shard}.parquet"
        for job in names or JOBS
        for shard in jobs.shard_names(SHARDS[job])
    ]


def stamps_of(part):
    """A stamp of each job's shards: who has many outputs would have Snakemake hash every shard for each of them."""
    for job in JOBS:
        STAMPED[f"{part}/{job}"] = shards_of(part, job)
    return expand(f"{RESULTS}/stamps/{part}/{{job}}.sha256", job=JOBS)


def by_job(table):
    """A job's entry of a table, as inputs or as a param. It tells its signature, which Snakemake else works out anew for
    every shard."""

    def found(wildcards):
        if wildcards.job not in table:
            raise WorkflowError(f"no such job: {wildcards.job}; expected one of {', '.join(table)}")
        return table[wildcards.job]

    found.__signature__ = signature(found)
    return found


# What the shards of a job read and are told, made once: worked out anew for each shard of a thousand jobs, it would
# take longer than all else of a plan.
SETS_OF = {job: settle.sets_of(asked.asks) for job, asked in JOBS.items()}
SAMPLE_OPTIONS = {
    job: options("benchmark", f"{RESULTS}/data/{{}}/samples.json", found) for job, found in SETS_OF.items()
}


def samples_of(sets):
    return expand(f"{RESULTS}/data/{{set}}/samples.json", set=sets)


def slice_of(part):
    """A job's slice, as it is written. Nobody has one of a name that is not in the config."""
    if part not in SLICES:
        raise WorkflowError(f"nothing called {part} in this config")
    return SLICES[part]


def questions_of(sets):
    return expand(f"{RESULTS}/prompts/{{set}}/questions.parquet", set=sets)
