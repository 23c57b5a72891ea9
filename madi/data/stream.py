"""The rows of one set, from wherever they come: scenes as drawn, published samples as chosen by the scale's seed.

A published data set is read in its own order. A group of samples (a source image, a session) is taken where the number
drawn from the seed and the group's name is under a bar that gives a few more than are wanted; reading ends at enough.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pyarrow.parquet as pq

from madi import images, shards
from madi.config import DataSlice
from madi.data.readers import aurora, complex_edit, emu_edit, geneval, idea_bench, magicbrush, pairs, scenes, ultraedit
from madi.data.readers.published import Rejected, missing
from madi.errors import MadiError

Reader = Callable[[Path], Iterator[dict | Rejected]]
READERS: dict[str, Reader] = {
    "ultraedit": ultraedit.read,
    "ultraedit_captions": ultraedit.captions,
    "magicbrush": magicbrush.read,
    "magicbrush_zip": magicbrush.zipped,
    "aurora": aurora.read,
    "pairs": pairs.read,
    "geneval": geneval.read,
}


def rows(job: DataSlice, folders: dict[str, Path]) -> Iterator[tuple[str, dict | Rejected]]:
    """(source's name, Sample row without `phash`, or what was rejected) of a set.

    folders: where each published source lies, by name (a benchmark's by its own).
    """
    source = job.source
    if source.reader == "scenes":
        yield from (("scenes", row) for row in scenes.read(job))
        return
    sources = source.sources if hasattr(source, "sources") else {job.set: source}
    for name, one in sources.items():
        reader = reader_of(one)
        take = one.take if hasattr(one, "take") else one.samples * (one.levels or 1)
        if name not in folders:
            raise MadiError(f"no files of {name}", "command line", f"--files {name}=PATH")
        for row in chosen(reader, folders[name], take, job.seed):
            yield name, row if isinstance(row, Rejected) else {"set": name, "split": job.set} | row


def folder_of(path: Path) -> Path:
    """Where a source lies: the path itself, or the folder that a fetch's manifest names."""
    if path.suffix != ".json":
        return path
    folder = shards.read_json(path).get("folder")
    if not isinstance(folder, str) or not Path(folder).exists():
        raise MadiError("its files are gone", path, folder, "delete it, and they are fetched again")
    return Path(folder)


def reader_of(source) -> Reader:
    """The reader of a published source, told what it is to read."""
    if source.reader == "emu_edit":
        return partial(emu_edit.read, split=source.split or "test")
    if source.reader == "complex_edit":
        levels = source.levels or complex_edit.LEVELS
        return partial(complex_edit.read, levels=levels, split=source.split or "test_real")
    if getattr(source, "captions", None):
        return partial(magicbrush.read, captions=Path(source.captions))
    if source.reader == "idea_bench":
        return partial(idea_bench.read, wanted=source.split or "I2I")
    return READERS[source.reader]


def chosen(reader: Reader, folder: Path, take: int | None, seed: int) -> Iterator[dict | Rejected]:
    """At most `take` samples, chosen by seed and group; None: all. Rejections of rows not chosen are told, too.

    The bar is set a little above what `take` wants, so that rejections do not leave too few, and reading ends when
    there are enough.
    """
    if not folder.exists():
        raise MadiError("no such file or folder", folder, "the published data", "fetch it, or name where it lies")
    total = None if take is None else count(reader, folder)
    bar = 1.0 if take is None else (take + 4 * math.sqrt(take) + 4) / max(1, total)
    taken = 0
    for row in reader(folder):
        if isinstance(row, Rejected):
            yield row
        elif draw(seed, row["group_id"]) < bar:
            yield row
            taken += 1
            if taken == take:
                return


def count(reader: Reader, folder: Path) -> int:
    """How many samples there are, at the most: from the heads of Parquet files where there are any."""
    paths = [folder] if folder.is_file() else sorted(folder.rglob("*.parquet"))
    parquet = [path for path in paths if path.suffix == ".parquet"]
    if not parquet or reader in (pairs.read, aurora.read) or isinstance(reader, partial):
        return sum(isinstance(row, dict) for row in reader(folder))
    a_row = 2 if reader is ultraedit.captions else 1
    return a_row * sum(pq.ParquetFile(path).metadata.num_rows for path in parquet)


def draw(seed: int, key: str) -> float:
    """A number in [0,1) of a group: all samples of a source image or session are taken, or none."""
    return int(images.sha256(f"{seed}\0{key}".encode())[:12], 16) / 16**12


def shards_missing(folders: dict[str, Path]) -> dict[str, list[int]]:
    """Numbered shards that are not there, by source."""
    found = {name: missing(sorted(folder.rglob("*.parquet"))) for name, folder in folders.items() if folder.is_dir()}
    return {name: numbers for name, numbers in found.items() if numbers}
