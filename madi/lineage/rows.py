"""Edits and scores, row by row: ids against keys, pictures against their hashes, weights and settings against files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from madi import images, records, shards
from madi.config import EditSlice, edit_sha, read
from madi.errors import MadiError
from madi.lineage.files import folder_sha
from madi.lineage.finding import Finding, Seen, fault
from madi.progress import progress
from madi.records import EDIT, EDIT_KEY, SCORE
from madi.tables.board import place
from madi.tables.workflow import Workflow

LOOKED_AT = [*EDIT_KEY, "edit_id", "status", "image", "image_sha", "weights_sha", "config_sha"]


def edits(workflow: Workflow, seen: Seen) -> Iterator[Finding]:
    """All edits of all jobs. A row group of pictures is in memory at a time."""
    for job, paths in workflow.edits.items():
        there = [path for path in paths if path.is_file()]  # the others are told among the missing files
        made: Counter[tuple[str, str | None, str]] = Counter()  # editor, weights, configuration
        try:
            total = shards.count(there, EDIT)
            for file, number, row in progress(shards.numbered(there, EDIT, LOOKED_AT), total, f"edits of {job}"):
                seen.counts["edits"] += 1
                made[row["editor"], row["weights_sha"], row["config_sha"]] += 1
                for what in edit(row, seen):
                    yield Finding("edits", f"{file} row {number} ({place(row)})", what, row["edit_id"])
                seen.edits.add(row["edit_id"])
            yield from made_by(workflow, job, made, seen)
        except MadiError as problem:
            yield fault("edits", problem)


def edit(row: dict, seen: Seen) -> Iterator[str]:
    """What is wrong with one edit."""
    if row["edit_id"] != (own := records.edit_id(row)):
        yield f"edit_id is {row['edit_id']}, its key gives {own}"
    if row["edit_id"] in seen.edits:
        yield "comes twice"
    data = (row["image"] or {}).get("bytes")
    if (row["status"] == "ok") != bool(data):
        yield f"status is {row['status']}, and there is {'a' if data else 'no'} picture"
    sha = images.sha256(data) if data else None
    if sha != row["image_sha"]:
        yield f"image_sha is {short(row['image_sha'])}, its picture gives {short(sha)}"


def made_by(workflow: Workflow, job: str, made: Counter, seen: Seen) -> Iterator[Finding]:
    """The weights and settings of each editor's edits against the job's slice and the weights there are."""
    path = workflow.folder / "edits" / job / "config.json"
    if not path.is_file():
        return
    slice_ = read(path, EditSlice)
    for (name, weights, config), count in sorted(made.items(), key=str):
        many = f"{count:,} edits of {name}"
        if name not in slice_.editors:
            yield Finding("configuration", str(path), f"{many} are there, and no such editor is")
            continue
        wanted = edit_sha(slice_.editors[name], slice_.sampler, slice_.size_px)
        if config != wanted:
            what = f"{many} were made by the configuration {short(config)}, this one is {short(wanted)}"
            yield Finding("configuration", str(path), what)
        folder = folder_of(name, slice_, workflow)
        sha = folder_sha(folder, seen) if folder else None
        if folder and sha and weights != sha:
            what = f"{many} were made by the weights {short(weights)}, these are {short(sha)}"
            yield Finding("weights", str(folder), what)


def folder_of(name: str, slice_: EditSlice, workflow: Workflow) -> Path | None:
    """The weights that an editor's edits were made with; None where it has none."""
    editor = slice_.editors[name]
    if editor.run:
        return workflow.folder / "runs" / editor.run / "weights"
    if editor.pipeline:
        return Path(editor.pipeline.weights)
    return Path(slice_.base) if editor.kind in ("base", "truth_vae") else None


def scores(workflow: Workflow, seen: Seen) -> Iterator[Finding]:
    """All scores of all jobs: their ids, and that each is of an edit, and each edit has some."""
    scored: set[str] = set()
    for job, paths in workflow.scores.items():
        there = [path for path in paths if path.is_file()]
        known = all(path.is_file() for path in workflow.edits[job])
        gone: dict[str, str] = {}
        try:
            total = shards.count(there, SCORE)
            for file, number, row in progress(shards.numbered(there, SCORE), total, f"scores of {job}"):
                seen.counts["scores"] += 1
                of = records.edit_id(row)
                where = f"{file} row {number} ({place(row)} {row['metric']}/{row['against']})"
                if row["score_id"] != (own := records.score_id(row)):
                    yield Finding("scores", where, f"score_id is {row['score_id']}, its key gives {own}", of)
                if (row["status"] == "ok") != (row["value"] is not None):
                    yield Finding("scores", where, f"status is {row['status']}, value is {row['value']}", of)
                scored.add(of)
                if known and of not in seen.edits:
                    gone.setdefault(of, f"{workflow.edits[job][0].parent / file.name} ({place(row)})")
        except MadiError as problem:
            yield fault("scores", problem)
        for of, where in gone.items():
            yield Finding("edits", where, "no such edit, and there are scores of it", of)
    if all(path.is_file() for path in chain(*workflow.scores.values())) and (bare := seen.edits - scored):
        what = f"{len(bare):,} edits have no scores, such as {min(bare)}"
        yield Finding("scores", str(workflow.folder / "scores"), what, min(bare))


def short(sha: str | None) -> str:
    return sha[:16] if sha else "none"
