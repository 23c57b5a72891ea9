"""Prepares one set: reads it, checks every sample, drops duplicates and leaks, and writes the samples.

Rows stream: a few dozen are in memory at a time, whatever the set's size; of all there were, ids and hashes stay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from madi import images, samples, shards
from madi.config import DataSlice
from madi.data import leaks, stream, workers
from madi.data.readers.published import Rejected
from madi.errors import MadiError
from madi.progress import progress, say
from madi.records import SAMPLE
from madi.samples import Sample

TOLD = 20  # examples of each reason in a report


class Tally:
    """What became of all rows: counts by source, and what was left out, why and where."""

    def __init__(self):
        self.kept: Counter[str] = Counter()
        self.rejected: Counter[str] = Counter()
        self.examples: defaultdict[str, list[str]] = defaultdict(list)
        self.duplicates: list[str] = []
        self.leaks: list[dict] = []
        self.contents: set[str] = set()
        self.ids: set[str] = set()

    def reject(self, reason: str, where: str) -> None:
        self.rejected[reason] += 1
        if len(self.examples[reason]) < TOLD:
            self.examples[reason].append(where)

    @property
    def whole(self) -> int:
        """Samples that were whole, leaks among them."""
        return sum(self.kept.values()) + len(self.leaks)


def run(job: DataSlice, out: Path, against: dict[str, Path], report: Path | None, folders: dict[str, Path]) -> None:
    """Write the samples of a set to `out`, and what was left out of it, and why, to `report` (JSON).

    against: benchmarks' samples by name, none of whose pictures may be in this set. folders: published sources by name.
    Errors: MadiError for a scene's sample that is not whole (a published one is rejected and counted), and if more than
    5 % of the samples leak.
    """
    shown = leaks.Shown({name: samples.load(path).values() for name, path in against.items()})
    tally = Tally()
    count = shards.write(out, kept(job, shown, tally, folders), SAMPLE)
    left = f"left out {len(tally.duplicates)} duplicates, {len(tally.leaks)} leaks"
    rejected = ", ".join(f"{number} with {reason}" for reason, number in tally.rejected.most_common())
    say(f"{job.set}: {count} samples; {left}{', ' + rejected if rejected else ''}")
    if report is not None:
        told = {"samples": count, "sources": dict(tally.kept), "duplicates": tally.duplicates, "leaks": tally.leaks}
        told |= {"rejected": dict(tally.rejected), "examples": dict(tally.examples)}
        shards.write_json(report, told | {"missing_shards": stream.shards_missing(folders)})


def kept(job: DataSlice, shown: leaks.Shown, tally: Tally, folders: dict[str, Path]) -> Iterator[dict]:
    """The rows that stay, each whole, once and unseen. As many processes as the job has threads read pictures."""
    rows = progress(stream.rows(job, folders), wanted(job), f"samples of {job.set}")
    for number, (name, row, found) in enumerate(workers.each(looked_at, rows, job.threads)):
        if isinstance(row, Rejected):
            tally.reject(row.reason, f"{row.file} row {row.row}")
            continue
        sample = sample_of(name, row, number)
        if not whole(sample, found, tally, strict=name == "scenes") or not first(sample, tally):
            continue
        hit = next((hit for picture in found if (hit := shown.find(picture)) is not None), None)
        if hit:
            tally.leaks.append(hit)
            continue
        tally.kept[name] += 1
        yield row | {"phash": found[0].bits.tobytes().hex() if found else ""}
    if not tally.whole:
        raise MadiError("no sample is left", f"{job.set} ({job.source.reader})", "some", "see what was rejected")
    leaks.hold(tally.leaks, tally.whole, f"{job.set} ({job.source.reader})")


def sample_of(name: str, row: dict, number: int = 0) -> Sample:
    """The sample of a row, at the place in its file that a person would look at."""
    origin = row["origin"]
    return Sample(row, "scenes" if name == "scenes" else origin["file"], number if name == "scenes" else origin["row"])


def looked_at(
    named: tuple[str, dict | Rejected],
) -> tuple[str, dict | Rejected, list[leaks.Picture] | MadiError | None]:
    """A row with its pictures as the leak check sees them, or with what is wrong with it."""
    name, row = named
    if isinstance(row, Rejected):
        return name, row, None
    sample = sample_of(name, row)
    try:
        check(sample)
        found = list(leaks.pictures(sample))
        if row["region"] and not fits(sample.region(), sample.source()):
            raise MadiError("a region of another shape than its source", sample.file)
        return name, row, found
    except MadiError as fault:
        return name, row, fault


def fits(region: np.ndarray, source: np.ndarray) -> bool:
    """Whether two pictures are of one shape, whatever their sizes."""
    return abs(region.shape[0] * source.shape[1] - region.shape[1] * source.shape[0]) <= max(
        *region.shape, *source.shape
    )


def wanted(job: DataSlice) -> int:
    """How many samples a set asks for; 0 where it takes all there are."""
    source = job.source
    if hasattr(source, "samples"):
        return source.samples * (source.levels or 1)
    return sum(one.take or 0 for one in source.sources.values()) or source.edits + source.t2i


def whole(sample: Sample, found: list | MadiError, tally: Tally, strict: bool) -> bool:
    """Whether a sample is whole; one that is not is rejected. Errors: what is wrong with it, where `strict`, and an id
    that comes twice."""
    if sample.id in tally.ids:
        raise MadiError(f"{sample.id!r} comes twice", f"{sample.file} row {sample.number} column sample_id")
    tally.ids.add(sample.id)
    if not isinstance(found, MadiError):
        return True
    if strict:
        raise found
    tally.reject(found.what.split(" (")[0], str(found))
    return False


def first(sample: Sample, tally: Tally) -> bool:
    """Whether this content comes for the first time."""
    content = images.sha256(f"{sample.row['sha256']}\0{sample.row['instruction']}".encode())
    if content in tally.contents:
        tally.duplicates.append(sample.id)
        return False
    tally.contents.add(content)
    return True


def check(sample: Sample) -> None:
    """Errors: MadiError naming file, row and column if the instruction is empty or there is nothing to show."""
    if not sample.row["instruction"].strip():
        raise MadiError("empty", f"{sample.file} row {sample.number} column instruction", "an instruction")
    if not sample.row["target"] and not sample.count and not sample.spec():
        raise MadiError("no image and no rule", f"{sample.file} row {sample.number}", "a source, a target or a spec")
