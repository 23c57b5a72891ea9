"""Prepares one set: reads it, checks every sample, drops duplicates and leaks, and writes the samples."""

from __future__ import annotations

from pathlib import Path

from madi import samples, shards
from madi.config import DataSlice
from madi.data import leaks
from madi.data.readers import scenes
from madi.errors import MadiError
from madi.progress import progress, say
from madi.records import SAMPLE
from madi.samples import Sample

READERS = {"scenes": scenes.read}


def run(job: DataSlice, out: Path, against: dict[str, Path], report: Path | None) -> None:
    """Write the samples of a set to `out`, and what was left out of it, and why, to `report` (JSON).

    against: benchmarks' samples by name, none of whose pictures may be in this set.
    Errors: MadiError for a sample that is not whole, and if more than 5 % of the samples leak.
    """
    shown = leaks.Shown({name: samples.load(path).values() for name, path in against.items()})
    source = job.source
    total = source.samples * (source.levels or 1) if hasattr(source, "samples") else source.edits + source.t2i
    rows = progress(READERS[source.reader](job), total, f"samples of {job.set}")
    checked = [Sample(row, f"{job.set} ({source.reader})", number) for number, row in enumerate(rows)]
    kept, duplicates = unique(checked)
    found = leaks.leaks(kept, shown)
    leaks.hold(found, len(kept), f"{job.set} ({source.reader})")
    leaking = {leak["sample_id"] for leak in found}
    count = shards.write(out, (sample.row for sample in kept if sample.id not in leaking), SAMPLE)
    say(f"{job.set}: {count} samples; left out {len(duplicates)} duplicates, {len(found)} leaks")
    if report is not None:
        shards.write_json(report, {"samples": count, "duplicates": duplicates, "leaks": found})


def unique(read: list[Sample]) -> tuple[list[Sample], list[str]]:
    """The whole samples, each content once, and the ids of those that repeat one. Errors: as `check`."""
    kept, duplicates, contents, ids = [], [], set(), set()
    for sample in read:
        check(sample)
        if sample.id in ids:
            raise MadiError(f"{sample.id!r} comes twice", f"{sample.file} row {sample.number} column sample_id")
        ids.add(sample.id)
        content = (sample.row["sha256"], sample.row["instruction"])
        if content in contents:
            duplicates.append(sample.id)
        else:
            contents.add(content)
            kept.append(sample)
    return kept, duplicates


def check(sample: Sample) -> None:
    """Errors: MadiError naming file, row and column if the instruction is empty or an image cannot be read."""
    if not sample.row["instruction"].strip():
        raise MadiError("empty", f"{sample.file} row {sample.number} column instruction", "an instruction")
    for index in range(sample.count):
        sample.source(index)
    if sample.target() is None and not sample.count and not sample.spec():
        raise MadiError("no image and no rule", f"{sample.file} row {sample.number}", "a source, a target or a spec")
