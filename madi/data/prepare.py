"""Prepares one set: reads it, checks every sample, drops duplicates and leaks, and writes the samples.

Rows stream: a few dozen are in memory at a time, whatever the set's size; of all there were, ids and hashes stay.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

from madi import images, samples, shards
from madi.config import DataSlice
from madi.data import leaks, stream
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
    """The rows that stay, each whole, once and unseen."""
    for number, (name, row) in enumerate(progress(stream.rows(job, folders), wanted(job), f"samples of {job.set}")):
        if isinstance(row, Rejected):
            tally.reject(row.reason, f"{row.file} row {row.row}")
            continue
        sample = Sample(row, row["origin"]["file"] if name != "scenes" else f"{job.set} (scenes)", number)
        pictures = whole(sample, tally, strict=name == "scenes")
        if pictures is None or not first(sample, tally):
            continue
        hit = next((hit for picture in pictures if (hit := shown.find(picture)) is not None), None)
        if hit:
            tally.leaks.append(hit)
            continue
        tally.kept[name] += 1
        yield row | {"phash": pictures[0].bits.tobytes().hex() if pictures else ""}
    if not tally.whole:
        raise MadiError("no sample is left", f"{job.set} ({job.source.reader})", "some", "see what was rejected")
    leaks.hold(tally.leaks, tally.whole, f"{job.set} ({job.source.reader})")


def wanted(job: DataSlice) -> int:
    """How many samples a set asks for; 0 where it takes all there are."""
    source = job.source
    if hasattr(source, "samples"):
        return source.samples * (source.levels or 1)
    return sum(one.take or 0 for one in source.sources.values()) or source.edits + source.t2i


def whole(sample: Sample, tally: Tally, strict: bool) -> list[leaks.Picture] | None:
    """The pictures of a sample, all of which can be read; None for one that is rejected.

    Errors: as `check`, where `strict`, and for an id that comes twice.
    """
    if sample.id in tally.ids:
        raise MadiError(f"{sample.id!r} comes twice", f"{sample.file} row {sample.number} column sample_id")
    tally.ids.add(sample.id)
    try:
        check(sample)
        found = list(leaks.pictures(sample))
        region = sample.region()
        if region is not None and region.shape[:2] != sample.source().shape[:2]:
            raise MadiError("a region of another size than its source", sample.file)
        return found
    except MadiError as fault:
        if strict:
            raise
        tally.reject(fault.what.split(" (")[0], str(fault))
        return None


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
