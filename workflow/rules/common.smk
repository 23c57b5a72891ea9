# Shared by all stages: the checked config, its slices, folders, and how `madi` is called.
import sys
from pathlib import Path
from shlex import quote

from snakemake.exceptions import WorkflowError

from madi import check, config as scales, settle
from madi.errors import MadiError

try:
    CONFIG = scales.parse(config)
    check.check_files(CONFIG)
    DECLARED = settle.table_file(CONFIG.tables.file)
    SLICES = settle.slices(CONFIG, DECLARED)
except MadiError as problem:
    raise WorkflowError(str(problem))

# Changed code reruns nothing by itself: what other code has trained stands, and is named.
if not workflow.remote_exec and not workflow.subprocess_exec:
    settle.warn_of_other_code(CONFIG)

RESULTS = f"results/{CONFIG.name}"
LOGS = f"{RESULTS}/logs"
TIMINGS = f"{RESULTS}/timings"
JOBS = settle.jobs(CONFIG)

# What runs elsewhere than Snakemake does may have no network: there, nothing waits for a hub that does not answer.
OFFLINE = " HF_HUB_OFFLINE=1" if workflow.remote_exec else ""

# Jobs find `madi` without an activated environment, and use as many threads as the config says, wherever they run.
shell.prefix(
    f"set -euo pipefail; export PATH={quote(str(Path(sys.executable).parent))}:$PATH{OFFLINE}"
    f" OMP_NUM_THREADS={CONFIG.threads} MKL_NUM_THREADS={CONFIG.threads} TOKENIZERS_PARALLELISM=false; "
)


wildcard_constraints:
    set="|".join(settle.sets(CONFIG)),
    job="|".join(JOBS),
    run="|".join(CONFIG.train.runs),
    shard=r"\d{5}",


def options(name, file, parts):
    """`--name part=file` for each part, `{}` in `file` standing for the part."""
    return " ".join(f"--{name} {part}={file.format(part)}" for part in parts)


def each(name, files):
    """`--name file` for each file."""
    return " ".join(f"--{name} {file}" for file in files)


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
