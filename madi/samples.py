"""Samples of a file or set, their pictures decoded on demand, every fault named by file, row and column."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from madi import images, shards
from madi.errors import MadiError
from madi.records import SAMPLE

PICTURES = ["sources", "target", "region"]


@dataclass(frozen=True, eq=False)
class Sample:
    """A Sample record, and where it stands. Images stay encoded until they are asked for."""

    row: dict
    file: str
    number: int

    @property
    def id(self) -> str:
        return self.row["sample_id"]

    @property
    def count(self) -> int:
        """How many source images there are; 0 for text-to-image."""
        return self.row.count if isinstance(self.row, Row) else len(self.row["sources"])

    def source(self, index: int = 0, least: int | None = None) -> np.ndarray:
        """A source image, uint8 [H,W,3]. least: as in `images.decode`."""
        return images.decode(self.row["sources"][index]["bytes"], self._at(f"sources[{index}]"), least)

    def target(self, least: int | None = None) -> np.ndarray | None:
        """The target image, uint8 [H,W,3]; None if the sample has none."""
        return images.decode(self.row["target"]["bytes"], self._at("target"), least) if self.row["target"] else None

    def region(self) -> np.ndarray | None:
        """Where to edit, uint8 [H,W,3]: 255 there and 0 elsewhere; None if the sample has no mask."""
        return images.region(self.row["region"]["bytes"], self._at("region")) if self.row["region"] else None

    def spec(self) -> dict:
        """What the sample's `spec` says; empty if it has none."""
        try:
            return json.loads(self.row["spec"] or "{}")
        except json.JSONDecodeError as fault:
            raise MadiError(f"not JSON ({fault.msg})", self._at("spec"), "a JSON object") from None

    @property
    def of_scenes(self) -> bool:
        """Whether it is of the small world, whose scenes are known: no photograph."""
        return "ops" in self.spec()

    def _at(self, column: str) -> str:
        return f"{self.file} row {self.number} column {column}"


def stream(path: Path | str, start: int = 0, stop=math.inf) -> Iterator[Sample]:
    """Samples of a file or of a set's manifest in order, from the `start`-th to before the `stop`-th."""
    return (Sample(row, str(file), number) for file, number, row in shards.numbered(path, SAMPLE, None, start, stop))


class Row(dict):
    """A sample's columns; those of pictures are read from its file when they are asked for. count: of its sources."""

    def __init__(self, columns: dict, count: int, fetch: Callable[[], dict]):
        super().__init__(columns)
        self.count, self.fetch = count, fetch

    def __missing__(self, name: str):
        if name not in PICTURES:
            raise KeyError(name)
        return self.fetch()[name]

    def __or__(self, other: dict) -> Row:
        count = len(other["sources"]) if "sources" in other else self.count
        return Row(dict(self) | other, count, self.fetch)


def load(path: Path | str) -> dict[str, Sample]:
    """Samples of a file or set by id, in order, their pictures left where they are until they are asked for.

    Errors: MadiError for an id that comes twice.
    """
    found: dict[str, Sample] = {}
    light = [field.name for field in SAMPLE if field.name not in PICTURES]
    for file in shards.files(path):
        rows = shards.numbered(file, SAMPLE, [*light, "sources.list.element.path"])
        for _, number, row in rows:
            count = len(row.pop("sources"))
            fetch = partial(_pictures, file, number)
            sample = Sample(Row(row, count, fetch), str(file), number)
            if (first := found.get(sample.id)) is not None:
                where = f"row {first.number}" + (f" of {first.file}" if first.file != sample.file else "")
                raise MadiError(
                    f"{sample.id!r} is in {where} too", f"{sample.file} row {sample.number} column sample_id"
                )
            found[sample.id] = sample
    return found


def first(groups: dict[str, str], count: int) -> set[str]:
    """`count` of the samples, by a hash of their groups' names: the same for whoever takes as many, group by group.

    groups: each sample's group, by its id, in their order.
    """
    ranked = sorted(groups, key=lambda name: images.sha256(str(groups[name]).encode()))
    return set(ranked[:count])


def last_turns(samples: dict[str, Sample]) -> dict[str, Sample]:
    """The samples that no other follows: the last turns of sessions, and all that stand alone."""
    followed = {sample.row["follows"] for sample in samples.values()}
    return {name: sample for name, sample in samples.items() if name not in followed}


def _pictures(file: Path, number: int) -> dict:
    """The pictures of a row."""
    group, place = divmod(number, shards.ROW_GROUP)
    return _group(file, group, file.stat().st_mtime_ns)[place]


@lru_cache(maxsize=2)  # samples are asked for in their order: one group, or two at a seam
def _group(file: Path, number: int, changed: int) -> list[dict]:
    return shards.group(file, number, SAMPLE, PICTURES)


def outlines(path: Path | str, start: int = 0, stop=math.inf) -> Iterator[tuple[str, int, bool, bool]]:
    """(id, how many sources, whether there is a target, whether there is a region) of each sample, no picture read."""
    columns = ["sample_id", "sources.list.element.path", "target.path", "region.path"]
    for _, _, row in shards.numbered(path, SAMPLE, columns, start, stop):
        yield row["sample_id"], len(row["sources"]), row["target"] is not None, row["region"] is not None
