"""Samples of a file or set, their pictures decoded on demand, every fault named by file, row and column."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from madi import images, shards
from madi.errors import MadiError
from madi.records import SAMPLE


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
        return len(self.row["sources"])

    def source(self, index: int = 0, least: int | None = None) -> np.ndarray:
        """A source image, uint8 [H,W,3]. least: as in `images.decode`."""
        return images.decode(self.row["sources"][index]["bytes"], self._at(f"sources[{index}]"), least)

    def target(self, least: int | None = None) -> np.ndarray | None:
        """The target image, uint8 [H,W,3]; None if the sample has none."""
        return images.decode(self.row["target"]["bytes"], self._at("target"), least) if self.row["target"] else None

    def region(self) -> np.ndarray | None:
        """Where to edit, uint8 [H,W,3] (white); None if the sample does not say."""
        return images.decode(self.row["region"]["bytes"], self._at("region")) if self.row["region"] else None

    def spec(self) -> dict:
        """What the sample's `spec` says; empty if it has none."""
        try:
            return json.loads(self.row["spec"] or "{}")
        except json.JSONDecodeError as fault:
            raise MadiError(f"not JSON ({fault.msg})", self._at("spec"), "a JSON object") from None

    def _at(self, column: str) -> str:
        return f"{self.file} row {self.number} column {column}"


def stream(path: Path | str, start: int = 0, stop=math.inf) -> Iterator[Sample]:
    """Samples of a file or of a set's manifest in order, from the `start`-th to before the `stop`-th."""
    return (Sample(row, str(file), number) for file, number, row in shards.numbered(path, SAMPLE, None, start, stop))


def load(path: Path | str) -> dict[str, Sample]:
    """Samples of a file or set by id, in order. Errors: MadiError for an id that comes twice."""
    found: dict[str, Sample] = {}
    for sample in stream(path):
        if (first := found.get(sample.id)) is not None:
            where = f"row {first.number}" + (f" of {first.file}" if first.file != sample.file else "")
            raise MadiError(f"{sample.id!r} is in {where} too", f"{sample.file} row {sample.number} column sample_id")
        found[sample.id] = sample
    return found


def outlines(path: Path | str, start: int = 0, stop=math.inf) -> Iterator[tuple[str, int, bool, bool]]:
    """(id, how many sources, whether there is a target, whether there is a region) of each sample, no picture read."""
    columns = ["sample_id", "sources.list.element.path", "target.path", "region.path"]
    for _, _, row in shards.numbered(path, SAMPLE, columns, start, stop):
        yield row["sample_id"], len(row["sources"]), row["target"] is not None, row["region"] is not None
