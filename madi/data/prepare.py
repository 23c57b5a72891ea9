"""Prepares one set: reads it, checks every sample, drops leaks and (but for benchmarks) duplicates, and writes it.

Rows stream: a few dozen are in memory at a time, whatever the set's size; of all there were, ids and hashes stay.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from madi import images, samples, shards
from madi.config import DataSlice
from madi.data import leaks, parts, stream, workers
from madi.data.readers.published import Rejected
from madi.data.tally import Tally
from madi.errors import MadiError
from madi.progress import progress, say
from madi.samples import Sample
from madi.settings import BenchmarkSet


def run(job: DataSlice, out: Path, against: dict[str, Path], report: Path | None, folders: dict[str, Path]) -> None:
    """Write a set's samples as shards, which the manifest `out` lists, and what was left out, and why, to `report`.

    A run that was cut off goes on after its last whole shard. against: benchmarks' samples by name, none of whose
    pictures may be in this set. folders: published sources by name. Errors: MadiError for a scene's sample that is not
    whole (a published one is rejected and counted), and if more than 5 % of the samples leak.
    """
    told = job.model_dump(mode="json", exclude={"threads"})
    captions = [Path(path)] if (path := getattr(job.source, "captions", None)) else []
    made = parts.Parts(out, parts.key_of(told, [*against.values(), *folders.values(), *captions]))
    if made.shards:
        say(f"{job.set}: going on after {made.tally.samples} samples in {len(made.shards)} shards")
    shown = leaks.Shown({name: samples.stream(path) for name, path in against.items()})
    made.write(kept(job, shown, made.tally, folders, Seen(made.kept())))
    say(f"{job.set}: {summary(made.tally)}")
    asked = asked_for(job)
    for name, count in asked.items():
        if count and made.tally.kept[name] < count:
            say(f"{job.set}: {name} has {made.tally.kept[name]} of {count} samples asked for")
    if report is not None:
        told = made.tally.facts() | {"missing_shards": stream.shards_missing(folders)}
        shards.write_json(report, told | {"asked_for": asked})


def summary(tally: Tally) -> str:
    """How many samples there are, and how many were left out, in one line."""
    left = f"left out {len(tally.duplicates)} duplicates, {len(tally.leaks)} leaks"
    rejected = ", ".join(f"{number} with {reason}" for reason, number in tally.rejected.most_common())
    return f"{tally.samples} samples; {left}{', ' + rejected if rejected else ''}"


class Seen:
    """Ids and contents of the samples that were kept."""

    def __init__(self, rows: Iterator[dict] = iter(())):
        self.ids: set[str] = set()
        self.contents: set[bytes] = set()
        for row in rows:
            self.add(row)

    def add(self, row: dict) -> None:
        self.ids.add(row["sample_id"])
        self.contents.add(content(row))


def content(row: dict) -> bytes:
    """What samples share that are the same but for their ids: the pictures and the instruction, hashed."""
    return bytes.fromhex(images.sha256(f"{row['sha256']}\0{row['instruction']}".encode()))[:16]


def kept(job: DataSlice, shown: leaks.Shown, tally: Tally, folders: dict[str, Path], seen: Seen) -> Iterator[dict]:
    """The rows that stay, each whole, once and unseen. As many processes as the job has threads read pictures."""
    left = islice(stream.rows(job, folders), tally.read, None)
    rows = progress(left, max(0, wanted(job) - tally.read), f"samples of {job.set}")
    for (name, row), found in workers.each(looked_at, rows, job.threads, weight):
        tally.read += 1
        if isinstance(row, Rejected):
            tally.reject(row.reason, f"{row.file} row {row.row}")
            continue
        sample = sample_of(row)
        if not whole(sample, found, tally, seen, strict=name == "scenes"):
            continue
        hit = next((hit for picture in found if (hit := shown.find(picture)) is not None), None)
        if hit:
            tally.leaks.append(hit)
        elif content(row) in seen.contents and not published_benchmark(job):
            tally.duplicates.append(sample.id)
        else:
            tally.kept[name] += 1
            seen.add(row)
            yield row | {"phash": found[0].bits.tobytes().hex() if found else ""}
    for name in asked_for(job):
        if not tally.kept[name] and not tally.rejected and not tally.leaks:
            raise MadiError("gave no sample", f"{name} of {job.set}", "some", "see whether it is of this form")
    if not tally.whole:
        raise MadiError("no sample is left", f"{job.set} ({job.source.reader})", "some", "see what was rejected")
    leaks.hold(tally.leaks, tally.whole, f"{job.set} ({job.source.reader})")


def sample_of(row: dict) -> Sample:
    """The sample of a row, at the place in its file that a person would look at."""
    return Sample(row, row["origin"]["file"], row["origin"]["row"])


def weight(named: tuple[str, dict | Rejected]) -> int:
    """Bytes of a row's pictures."""
    row = named[1]
    if isinstance(row, Rejected):
        return 0
    return sum(len(one["bytes"]) for one in [*row["sources"], row["target"], row["region"]] if one)


def looked_at(named: tuple[str, dict | Rejected]) -> list[leaks.Picture] | MadiError | None:
    """A row's pictures as the leak check sees them, or what is wrong with it."""
    name, row = named
    if isinstance(row, Rejected):
        return None
    sample = sample_of(row)
    try:
        check(sample)
        found = list(leaks.pictures(sample))
        if row["region"] and not fits(sample.region(), sample.source()):
            where = f"{sample.file} row {sample.number} column region"
            raise MadiError("another shape than its source", where, "a region of the source's shape")
        return found
    except MadiError as fault:
        return fault


def fits(region: np.ndarray, source: np.ndarray) -> bool:
    """Whether two pictures are of one shape, whatever their sizes."""
    return abs(region.shape[0] * source.shape[1] - region.shape[1] * source.shape[0]) <= max(
        *region.shape, *source.shape
    )


def published_benchmark(job: DataSlice) -> bool:
    """Whether a set is a benchmark as published: it keeps every row, since its authors' script averages over them all
    (Emu Edit asks one edit of one picture under two tasks)."""
    return isinstance(job.source, BenchmarkSet) and job.source.reader != "scenes"


def asked_for(job: DataSlice) -> dict[str, int | None]:
    """How many samples each published source is to give; None: all it has. Empty for scenes."""
    source = job.source
    if source.reader == "scenes":
        return {}
    if hasattr(source, "samples"):
        return {job.set: source.samples * (source.levels or 1)}
    return {name: one.take for name, one in source.sources.items()}


def wanted(job: DataSlice) -> int:
    """How many samples a set asks for; 0 where it takes all there are."""
    source = job.source
    if hasattr(source, "samples"):
        return source.samples * (source.levels or 1)
    return sum(one.take or 0 for one in source.sources.values()) or source.edits + source.t2i


def whole(sample: Sample, found: list | MadiError, tally: Tally, seen: Seen, strict: bool) -> bool:
    """Whether a sample is whole and its id new; one that is not is rejected. Errors: what is wrong, where `strict`."""
    if sample.id in seen.ids:
        where = f"{sample.file} row {sample.number} column sample_id"
        found = MadiError("an id that came before", f"{where} ({sample.id!r})", "each id once")
    if not isinstance(found, MadiError):
        return True
    if strict:
        raise found
    tally.reject(found.what.split(" (")[0], str(found))
    return False


def check(sample: Sample) -> None:
    """Errors: MadiError naming file, row and column if the instruction is empty or there is nothing to show."""
    if not sample.row["instruction"].strip():
        raise MadiError("empty", f"{sample.file} row {sample.number} column instruction", "an instruction")
    if not sample.row["target"] and not sample.count and not sample.spec():
        raise MadiError("no image and no rule", f"{sample.file} row {sample.number}", "a source, a target or a spec")
