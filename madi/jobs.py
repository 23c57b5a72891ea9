"""Jobs and their shards: which editors share a job, which samples share a shard, and where a shard's file lies."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from madi.editors import Editor


def jobs(editors: Mapping[str, Editor]) -> dict[str, list[str]]:
    """The editors of each edit job, in the order of the job's first."""
    found: dict[str, list[str]] = {}
    for name in editors:
        found.setdefault(job_of(editors, name), []).append(name)
    return found


def job_of(editors: Mapping[str, Editor], name: str) -> str:
    """The edit job that an editor shares, or its own."""
    return editors[name].job or name


def shards(editors: Mapping[str, Editor], count: int, others: Mapping[str, int]) -> dict[str, int]:
    """Into how many each edit job is split: `count`, but of `others` as many as they say."""
    return {job: others.get(job, count) for job in jobs(editors)}


def shard_names(count: int) -> list[str]:
    """The names of `count` shards: their numbers, from 0."""
    return [f"{number:05d}" for number in range(count)]


def shard_of(group: str, count: int) -> int:
    """Which of `count` shards holds a group of samples: a session, or all that is asked about one source.

    By a hash of its name, so it depends on no other sample and on no order; a shard may be empty.
    """
    return int(hashlib.sha256(group.encode()).hexdigest()[:16], 16) % count


def files(folder: Path, editors: Mapping[str, Editor], counts: Mapping[str, int]) -> dict[str, list[Path]]:
    """The shards of each job below `folder`: `<job>/<shard>.parquet`; one, where `counts` does not tell."""
    names = {job: shard_names(counts.get(job, 1)) for job in jobs(editors)}
    return {job: [folder / job / f"{name}.parquet" for name in found] for job, found in names.items()}


def named(paths: Iterable[Path], editors: Mapping[str, Editor], counts: Mapping[str, int]) -> list[Path]:
    """The shards that are meant: of a folder those of all jobs, in their order (an older config's may lie beside them);
    else the paths themselves. A command line has no room for the shards of a thousand jobs."""
    found: list[Path] = []
    for path in paths:
        found += chain(*files(path, editors, counts).values()) if path.is_dir() else [path]
    return found
