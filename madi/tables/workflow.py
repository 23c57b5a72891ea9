"""Where the results of a workflow lie, and what its tables are made from, found from its folder alone."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pandas as pd

from madi import jobs, shards
from madi.config import TablesSlice, read
from madi.errors import MadiError
from madi.provenance import file_sha
from madi.records import CELL, LINEAGE
from madi.tables.sources import Source, read_source

KEPT = ("answers/*/*.parquet", "prompts/**/*.parquet", "scores/*/*.parquet", "runs/*/train.csv", "*.parquet")
KEPT += ("figures/*", "tables/*", "report.html")


def kept(folder: Path) -> dict[str, str]:
    """SHA-256 of what a finished workflow leaves besides pictures and weights, whose own records tell theirs; by path
    below its folder."""
    found = (path for form in KEPT for path in folder.glob(form) if path.is_file())
    return {path.relative_to(folder).as_posix(): file_sha(path) for path in sorted(set(found))}


@dataclass(frozen=True)
class Workflow:
    """The folder `results/<name>`, and its slice of the tables."""

    folder: Path
    slice: TablesSlice

    @classmethod
    def open(cls, folder: Path) -> Workflow:
        """Errors: MadiError where the folder is none of a workflow, or its slice is not whole."""
        if not folder.is_dir():
            raise MadiError("no such folder", folder, "results/<name>")
        slice_ = folder / "tables" / "config.json"
        if not slice_.is_file():
            raise MadiError("no tables/config.json in it", folder, "results/<name>", "run the workflow first")
        return cls(folder, read(slice_, TablesSlice))

    @property
    def jobs(self) -> list[str]:
        return list(jobs.jobs(self.slice.editors))

    @property
    def sets(self) -> list[str]:
        """Sets of samples that are edited."""
        return list(dict.fromkeys(ask.benchmark for ask in self.slice.asks))

    @property
    def samples(self) -> dict[str, Path]:
        return {name: self.folder / "data" / name / "samples.json" for name in self.sets}

    @property
    def edits(self) -> dict[str, list[Path]]:
        """Shards by job, as `scores`."""
        return jobs.files(self.folder / "edits", self.slice.editors, self.slice.shards)

    @property
    def scores(self) -> dict[str, list[Path]]:
        return jobs.files(self.folder / "scores", self.slice.editors, self.slice.shards)

    @property
    def reported(self) -> Path:
        """The paper's values: where the slice says, from here or from the folder that holds `results/`."""
        path = Path(self.slice.reported)
        return path if path.is_file() else self.folder.resolve().parents[1] / path

    def job_of(self, editor: str) -> str:
        return jobs.job_of(self.slice.editors, editor)

    def cells(self) -> list[dict]:
        return shards.read(self.folder / "cells.parquet", CELL)

    def lineage(self) -> pd.DataFrame:
        return shards.frame(self.folder / "lineage.parquet", LINEAGE)

    def source(self) -> Source:
        """What cells are made from, as it is now."""
        scores, edits = chain(*self.scores.values()), chain(*self.edits.values())
        return read_source(self.slice, self.samples, list(scores), list(edits), self.reported)
