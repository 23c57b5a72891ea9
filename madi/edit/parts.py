"""Finished batches of an unfinished job: kept beside its output, so that an interrupted job goes on where it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from madi import shards
from madi.records import EDIT


class Parts:
    """Parts of `out`, in `<out's name>.parts/<key>/`, one Parquet file a batch, each written whole or not at all.

    `key` names all that the edits depend on: parts of a job that has since changed are not taken up.
    """

    def __init__(self, out: Path | str, key: str):
        self.root = Path(out).with_suffix(".parts")
        self.folder = self.root / key

    def path(self, number: int) -> Path:
        return self.folder / f"{number:06}.parquet"

    def has(self, number: int) -> bool:
        return self.path(number).exists()

    def write(self, number: int, rows: Iterable[dict]) -> None:
        shards.write(self.path(number), rows, EDIT)

    def drop(self, numbers: Iterable[int]) -> None:
        """Forget batches, which are then made again."""
        for number in numbers:
            self.path(number).unlink(missing_ok=True)

    def read(self, number: int) -> list[dict]:
        return shards.read(self.path(number), EDIT)

    def rows(self, count: int) -> Iterator[dict]:
        """Rows of the first `count` parts, in order."""
        return shards.stream([self.path(number) for number in range(count)], EDIT)

    def remove(self) -> None:
        """Once the output is there: this job's parts, and those of what it was before."""
        shutil.rmtree(self.root, ignore_errors=True)
