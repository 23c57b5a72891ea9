"""Edits as files, in the layout that a benchmark's official scripts expect, or under their samples' names."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from madi import samples, shards
from madi.edit import official_data
from madi.edit.layouts import FINAL, place
from madi.editors import Turns
from madi.errors import MadiError
from madi.progress import progress, say
from madi.records import EDIT, EDIT_KEY
from madi.samples import Sample

Place = tuple[Sample, int]  # a sample and a sampling seed


def run(
    edits: Path | list[Path],
    file: Path,
    benchmark: str,
    editor: str,
    pause: int,
    layout: str,
    out: Path,
    turns: Turns = "given",
    seed: int | None = None,
    data: Path | None = None,
) -> int:
    """Write the images of one editor at one pause count, at one seed or (None) all, below `out`; returns how many.

    edits: one shard or all of a job; file: the benchmark's samples; turns: what later turns edited, which MagicBrush's
    names tell; data: folder for what the official script reads beside the edits, of the same samples alone. Errors:
    MadiError where there is no such edit, where two edits want one place, and for a sample that the layout has no place
    for; nothing is written then. Failed edits leave no file: official scripts count them as missing, or stop.
    """
    known = samples.load(file)
    wanted = {"benchmark": benchmark, "editor": editor, "pause": pause} | ({"seed": seed} if seed is not None else {})
    places = placed(edits, known, wanted, layout, turns, file)
    if data is not None:
        official_data.check(layout)
    rows = shards.numbered(edits, EDIT, [*EDIT_KEY, "status", "image"])
    with staged(out) as folder, staged(data) if data is not None else nullcontext() as beside:
        for name, row in progress(exported(rows, known, wanted, layout, turns), len(places), f"export {editor}"):
            write(folder / name, row["image"]["bytes"])
            if layout == "geneval":
                sample = places[name][0]
                rule = sample.spec().get("geneval", {}) | {"prompt": sample.row["instruction"]}
                write((folder / name).parents[1] / "metadata.jsonl", json.dumps(rule).encode() + b"\n")
        if beside is not None:
            official_data.write(layout, {name: sample for name, (sample, _) in places.items()}, known, beside)
    return len(places)


def placed(
    edits: Path | list[Path], known: dict[str, Sample], wanted: dict, layout: str, turns: Turns, file: Path
) -> dict[str, Place]:
    """Sample and seed by the path of their image; no image is read. Errors: as `run`."""
    found: dict[str, Place] = {}
    failed = 0
    for shard, _, row in shards.numbered(edits, EDIT, [*EDIT_KEY, "status"]):
        if not chosen(row, wanted):
            continue
        if row["status"] != "ok":
            failed += 1
            continue
        sample = known.get(row["sample_id"])
        if sample is None:
            raise MadiError(f"edit of {row['sample_id']!r}", shard, f"a sample of {file}")
        name = place(layout, sample, 0 if layout in FINAL else row["pause"], row["seed"], turns)
        if name in found:
            first, other = found[name], (sample, row["seed"])
            two = " and ".join(f"{one.id} at seed {seed}" for one, seed in (first, other))
            do = "say which with --seed" if first[0].id == sample.id else None
            raise MadiError(f"{name} is the place of two edits ({two})", shard, "one of each", do)
        found[name] = sample, row["seed"]
    if not found:
        where = ", ".join(map(str, shards.files(edits)))
        at = f"pause {wanted['pause']}" + (f" and seed {wanted['seed']}" if "seed" in wanted else "")
        raise MadiError(f"no edit of {wanted['benchmark']} by {wanted['editor']} at {at}", where, "one of this job")
    if failed:
        say(f"{failed} edits failed and have no image: the official script counts them as missing, or stops")
    return found


def exported(rows, known: dict[str, Sample], wanted: dict, layout: str, turns: Turns):
    """(path below the folder, Edit row) of every image."""
    for _, _, row in rows:
        if chosen(row, wanted) and row["status"] == "ok":
            pause = 0 if layout in FINAL else row["pause"]
            yield place(layout, known[row["sample_id"]], pause, row["seed"], turns), row


def chosen(row: dict, wanted: dict) -> bool:
    return all(row[name] == value for name, value in wanted.items())


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder to write files into, which are moved below `out` together if the block ends well; else nothing stays.

    Files of `out` with other names stay: both of MagicBrush's protocols are exported into one folder.
    """
    if out.exists() and not out.is_dir():
        raise MadiError("a file", out, "a folder, new or not")
    there = next(folder for folder in (out, *out.absolute().parents) if folder.is_dir())
    try:
        held = tempfile.TemporaryDirectory(prefix=".export-", dir=there)  # on the same disk: a move copies nothing
    except OSError as fault:
        raise MadiError(f"cannot be written into ({fault.strerror})", there, "a folder") from None
    with held as name:
        yield Path(name)
        for path in sorted(Path(name).rglob("*")):
            if path.is_file():
                target = out / path.relative_to(name)
                target.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, target)


def write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
