"""Edits that are there already: a folder of images in a layout, or those published beside a benchmark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from madi import images
from madi.edit.editors.reference import NO_MODEL
from madi.edit.layouts import place
from madi.edit.work import Result, Work
from madi.editors import FolderEditor, PublishedEditor, Turns
from madi.errors import MadiError
from madi.samples import Sample
from madi.shards import read_json

GENERATIONS = ["hash", "model", "edited_image"]
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


class Folder:
    """Images in a layout's places, whatever their ending. One that is not there, or there twice, or no image, is a
    failed edit; files in no sample's place are told, since a sample's edit may be among them. Errors: MadiError for no
    such folder, and for two edits that would be read from one place."""

    def __init__(self, settings: FolderEditor, config_sha: str, turns: Turns = "given"):
        self.root, self.layout, self.turns = Path(settings.path), settings.layout, turns
        if not self.root.is_dir():
            raise MadiError("no such folder", self.root, f"edits in the layout {self.layout}")
        self.facts = NO_MODEL | {"config_sha": config_sha}
        self.listed = cache(listed)  # of each folder once, as it is now
        self.taken: dict[str, tuple] = {}

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(work) for work in works]

    def _one(self, work: Work) -> Result:
        name = place(self.layout, work.sample, work.pause, work.seed, self.turns)
        if (first := self.taken.setdefault(name, work.key)) != work.key:
            what = f"the place of two edits ({' and '.join('/'.join(map(str, key[2:])) for key in (first, work.key))})"
            raise MadiError(what, self.root / name, "one sample, pause and seed a place", "use the layout plain")
        match self.found(name):
            case []:
                return Result(None, f"{name} is missing")
            case [path]:
                return opened(path)
            case several:
                return Result(None, f"{' and '.join(path.name for path in several)} are both there: one must go")

    def found(self, name: str) -> list[Path]:
        """The images in a place, under its own ending or another, in small letters or large."""
        path = self.root / name
        return self.listed(path.parent).get(path.stem, [])

    def strangers(self, samples: dict[str, Sample], pauses: Sequence[int], seeds: Sequence[int]) -> list[Path]:
        """Images below the folder that are in the place of no sample."""
        known = {
            path
            for sample in samples.values()
            for pause in pauses
            for seed in seeds
            for path in self.found(place(self.layout, sample, pause, seed, self.turns))
        }
        return sorted(p for p in self.root.rglob("*") if p.suffix.lower() in ENDINGS and p not in known)


class Published:
    """Emu Edit's generations, by the hash that they share with the samples: their splits' names are swapped, and rows
    have no order to rely on."""

    def __init__(self, settings: PublishedEditor, config_sha: str):
        self.facts = NO_MODEL | {"config_sha": config_sha}
        self.pictures: dict[str, bytes] = {}
        for key, model, picture in generations(root_of(settings.path)):
            if settings.model in (None, model):
                self.pictures.setdefault(key, picture)
        if not self.pictures:
            raise MadiError("no edit", settings.path, f"rows of {settings.model}" if settings.model else "some rows")

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(work) for work in works]

    def _one(self, work: Work) -> Result:
        key = work.sample.spec().get("hash")
        if key not in self.pictures:
            return Result(None, "nothing was published for it")
        return read(self.pictures[key], f"edit of {work.sample.id}")


def root_of(path: str) -> Path:
    """A folder, or the one that a fetch's manifest names. Errors: MadiError where it is gone."""
    folder = Path(read_json(path).get("folder", "")) if path.endswith(".json") else Path(path)
    if not folder.is_dir():
        raise MadiError("no such folder", path, "published edits", "fetch them again")
    return folder


def generations(root: Path) -> Iterator[tuple[str, str, bytes]]:
    """(hash, model, encoded picture) of all rows. Errors: MadiError naming a file that lacks a column, or is broken."""
    for path in sorted(root.rglob("*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                if lacking := set(GENERATIONS) - set(file.schema_arrow.names):
                    raise MadiError(f"no column {sorted(lacking)[0]}", path, ", ".join(GENERATIONS))
                for batch in file.iter_batches(16, columns=GENERATIONS):
                    for row in batch.to_pylist():
                        if row["edited_image"] and row["edited_image"]["bytes"]:
                            yield row["hash"], str(row["model"]), row["edited_image"]["bytes"]
        except (pa.ArrowException, OSError) as fault:
            reason = " ".join(str(fault).split())[:80]
            raise MadiError(f"not a whole Parquet file ({reason})", path, do="fetch it again") from None


def listed(folder: Path) -> dict[str, list[Path]]:
    """The images in a folder by their names without endings; none where there is no folder."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.suffix.lower() in ENDINGS and path.is_file():
            found.setdefault(path.stem, []).append(path)
    return found


def opened(path: Path) -> Result:
    """The image in a file; a failed edit where there is none, or it may not be read."""
    try:
        return read(path.read_bytes(), str(path))
    except OSError as fault:
        return Result(None, f"{path.name} cannot be read ({fault.strerror})")


def read(data: bytes, where: str) -> Result:
    """An image as an edit; a failed edit where it is none."""
    try:
        return Result(images.decode(data, where))
    except MadiError as fault:
        return Result(None, fault.what)
