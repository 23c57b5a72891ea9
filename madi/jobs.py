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
    for name, editor in editors.items():
        found.setdefault(editor.job or name, []).append(name)
    return found


def shard_names(count: int) -> list[str]:
    """The names of `count` shards: their numbers, from 0."""
    return [f"{number:05d}" for number in range(count)]


def shard_of(group: str, count: int) -> int:
    """Which of `count` shards holds a group of samples: a session, or all that is asked about one source.

    By a hash of its name, so it depends on no other sample and on no order; a shard may be empty.
    """
    return int(hashlib.sha256(group.encode()).hexdigest()[:16], 16) % count


def files(folder: Path, editors: Mapping[str, Editor], count: int) -> dict[str, list[Path]]:
    """The shards of each job below `folder`: `<job>/<shard>.parquet`."""
    return {job: [folder / job / f"{shard}.parquet" for shard in shard_names(count)] for job in jobs(editors)}


def named(paths: Iterable[Path], editors: Mapping[str, Editor], count: int) -> list[Path]:
    """The shards that are meant: of a folder those of all jobs, in their order (an older config's may lie beside them);
    else the paths themselves. A command line has no room for the shards of a thousand jobs."""
    found: list[Path] = []
    for path in paths:
        found += chain(*files(path, editors, count).values()) if path.is_dir() else [path]
    return found
