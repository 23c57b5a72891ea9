"""Edits that are there already: a folder of images in a layout, or those published beside a benchmark."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from pathlib import Path, PurePath

import pyarrow as pa
import pyarrow.parquet as pq

from madi import images
from madi.edit.editors.reference import NO_MODEL
from madi.edit.layouts import key, place
from madi.edit.work import Result, Work
from madi.editors import FolderEditor, PublishedEditor, Turns
from madi.errors import MadiError
from madi.samples import Sample
from madi.shards import read_json

GENERATIONS = ["hash", "model", "edited_image"]
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


class Folder:
    """Images in a layout's places, whatever their ending and, where names are numbers, their count of digits. One that
    is not there, or there twice, or no image, is a failed edit; files that match no sample are listed, since a sample's
    edit may be among them. Errors: MadiError for no such folder, and for two edits that would be read from one
    place."""

    def __init__(self, settings: FolderEditor, config_sha: str, turns: Turns = "given"):
        self.root, self.layout, self.turns = Path(settings.path), settings.layout, turns
        if not self.root.is_dir():
            raise MadiError("no such folder", self.root, f"edits in the layout {self.layout}")
        self.facts = NO_MODEL | {"config_sha": config_sha}
        self.listed = cache(partial(listed, layout=self.layout))  # of each folder once, as it is now
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
                return self.other_prompt(path, work.sample) or opened(path)
            case several:
                names = " and ".join(str(path.relative_to(self.root)) for path in several)
                return Result(None, f"{names} are both there: one must go")

    def found(self, name: str) -> list[Path]:
        """The images in a place, under its own ending or another, in small letters or large."""
        path = PurePath(name)
        folders = [self.root]
        for part in path.parts[:-1]:
            folders = [one for folder in folders for one in self.listed(folder).folders.get(key(self.layout, part), [])]
        return [one for folder in folders for one in self.listed(folder).images.get(key(self.layout, path.stem), [])]

    def other_prompt(self, path: Path, sample: Sample) -> Result | None:
        """A failed edit where GenEval's metadata beside the images is of another prompt: the folders were numbered by
        another list of prompts."""
        beside = path.parent.parent / "metadata.jsonl"
        if self.layout != "geneval" or not beside.is_file():
            return None
        try:
            said = " ".join(str(json.loads(beside.read_bytes())["prompt"]).split())
        except (ValueError, KeyError, TypeError):
            return None  # no prompt to hold against the sample's
        if said == sample.row["instruction"]:
            return None
        return Result(None, f"{beside.parent.name}/metadata.jsonl is of another prompt")

    def strangers(self, samples: dict[str, Sample], pauses: Sequence[int], seeds: Sequence[int]) -> list[Path]:
        """Images below the folder that are in the place of no sample, whatever later turns edited."""
        places = product(samples.values(), pauses, seeds, ("given", "own"))
        known = {path for one in places for path in self.found(place(self.layout, *one))}
        known |= {self.root / name / "grid.png" for name in self.names() if self.layout == "geneval"}
        return sorted(p for p in self.root.rglob("*") if p.suffix.lower() in ENDINGS and p not in known)

    def names(self) -> list[str]:
        """Names of the folders in the root."""
        return [path.name for paths in self.listed(self.root).folders.values() for path in paths]


class Published:
    """Emu Edit's generations, by the hash that they share with the samples: their splits' names are swapped, and rows
    have no order to rely on."""

    def __init__(self, settings: PublishedEditor, config_sha: str):
        self.facts = NO_MODEL | {"config_sha": config_sha}
        self.pictures: dict[str, dict[str, bytes]] = {}  # by hash and instruction
        for hashed, instruction, model, picture in generations(root_of(settings.path)):
            if settings.model in (None, model):
                self.pictures.setdefault(hashed, {}).setdefault(instruction, picture)
        if not self.pictures:
            raise MadiError("no edit", settings.path, f"rows of {settings.model}" if settings.model else "some rows")

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(work) for work in works]

    def _one(self, work: Work) -> Result:
        found = self.pictures.get(work.sample.spec().get("hash"), {})
        picture = next(iter(found.values())) if len(found) == 1 else found.get(work.sample.row["instruction"])
        if picture is None:
            return Result(None, "nothing was published for it")
        return read(picture, f"edit of {work.sample.id}")


def root_of(path: str) -> Path:
    """A folder, or the one that a fetch's manifest names. Errors: MadiError where it is gone."""
    folder = Path(read_json(path).get("folder", "")) if path.endswith(".json") else Path(path)
    if not folder.is_dir():
        raise MadiError("no such folder", path, "published edits", "fetch them again")
    return folder


def generations(root: Path) -> Iterator[tuple[str, str, str, bytes]]:
    """(hash, instruction, model, encoded picture) of all rows. Errors: MadiError naming a file that lacks a column, or
    is broken."""
    for path in sorted(root.rglob("*.parquet")):
        try:
            with pq.ParquetFile(path) as file:
                if lacking := set(GENERATIONS) - set(file.schema_arrow.names):
                    raise MadiError(f"no column {sorted(lacking)[0]}", path, ", ".join(GENERATIONS))
                for batch in file.iter_batches(16, columns=[*GENERATIONS, "instruction"]):
                    for row in batch.to_pylist():
                        if row["edited_image"] and row["edited_image"]["bytes"]:
                            instruction = " ".join(str(row.get("instruction") or "").split())
                            yield row["hash"], instruction, str(row["model"]), row["edited_image"]["bytes"]
        except (pa.ArrowException, OSError) as fault:
            reason = " ".join(str(fault).split())[:80]
            raise MadiError(f"not a whole Parquet file ({reason})", path, do="fetch it again") from None


@dataclass(frozen=True)
class Listed:
    """What lies in a folder, by `layouts.key` of its name without its ending."""

    images: dict[str | int, list[Path]]
    folders: dict[str | int, list[Path]]


def listed(folder: Path, layout: str) -> Listed:
    """The images and folders in a folder; none where there is no folder."""
    found = Listed({}, {})
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if path.is_dir():
            found.folders.setdefault(key(layout, path.name), []).append(path)
        elif path.suffix.lower() in ENDINGS and path.is_file():
            found.images.setdefault(key(layout, path.stem), []).append(path)
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
