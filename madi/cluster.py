"""What a workflow through SLURM needs, checked before Snakemake starts: `sbatch`, and partitions for its plugin."""

from __future__ import annotations

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from madi import configfile
from madi.errors import MadiError
from madi.values import Count, Natural, Part, worded

PartitionName = worded(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", "a partition's name, as `sinfo` lists it")
Time = worded(
    r"^([1-9]\d*|\d+-\d+(:\d+){0,2}|\d+(:\d+){1,2}|\d+(\.\d+)?[smhdw])$", "minutes, or a time such as 1-00:00:00"
)
Minutes = Annotated[Time, BeforeValidator(lambda value: str(value) if isinstance(value, int) else value)]
Limit = Count | None


class Partition(Part):
    """Limits of a partition, beyond which a job goes to another. max_runtime: minutes, or SLURM's `1-00:00:00`."""

    max_runtime: Minutes | None = None
    max_mem_mb: Limit = None
    max_mem_mb_per_cpu: Limit = None
    max_cpus_per_task: Limit = None
    max_threads: Limit = None
    max_nodes: Limit = None
    max_tasks: Limit = None
    max_tasks_per_node: Limit = None
    max_gpu: Natural = 0
    available_gpu_models: list[str] | None = None
    max_cpus_per_gpu: Limit = None
    supports_mpi: bool = True
    max_mpi_tasks: Limit = None
    available_constraints: list[str] | None = None
    slurm_cluster: PartitionName | None = None
    cluster: PartitionName | None = None
    clusters: PartitionName | None = None


class Partitions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    partitions: Annotated[dict[PartitionName, Partition], Field(min_length=1)]


def check(arguments: Sequence[str], dry: bool, environment: Mapping[str, str] = os.environ) -> None:
    """Where Snakemake's arguments ask for SLURM. Errors: MadiError without `sbatch`, but for a dry run, and for a file
    of partitions that is none."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    for names in (("--executor", "-e"), ("--profile",), ("--slurm-partition-config",)):
        parser.add_argument(*names)
    given, _ = parser.parse_known_args(list(arguments))
    profile = _profile(given.profile or environment.get("SNAKEMAKE_PROFILE"))
    if (given.executor or profile.get("executor")) != "slurm":
        return
    if file := given.slurm_partition_config or profile.get("slurm-partition-config"):
        check_partitions(file)
    if not dry and shutil.which("sbatch", path=environment.get("PATH")) is None:
        do = "run on a login node, or without `--profile slurm`"
        raise MadiError("no such command", "sbatch", "SLURM's commands in PATH", do)


def check_partitions(file: str | Path) -> None:
    """Errors: MadiError naming file, line and key."""
    source = configfile.read(file)
    try:
        Partitions.model_validate(source.content)
    except ValidationError as bad:
        raise configfile.explain(bad, Partitions, [source]) from None


def _profile(folder: str | None) -> dict:
    """What the profile in a folder says; nothing where Snakemake has it from elsewhere."""
    path = Path(folder or "", "config.yaml")
    return configfile.read(path).content if folder and path.is_file() else {}
