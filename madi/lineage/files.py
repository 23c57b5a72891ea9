"""Files on disk against what was told of them: samples against their list, weights against their manifest, slices
against the run or the tables that were made by them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from madi import provenance, settle, shards
from madi.config import DataSlice, EditSlice, RunSlice, ScoreSlice, read
from madi.errors import MadiError
from madi.lineage.finding import Finding, Seen, differences, fault
from madi.progress import progress
from madi.records import SAMPLE, SCORE
from madi.score.scorers import CLIP, DINO
from madi.tables import workflow as workflows
from madi.tables.workflow import Workflow

PICTURES = ["sample_id", "sources", "target", "sha256"]


def missing(workflow: Workflow) -> list[Finding]:
    """Files that the tables are made from, or are, and that are gone."""
    root = workflow.folder
    wanted = [
        *workflow.samples.values(),
        *chain(*workflow.edits.values(), *workflow.scores.values()),
        workflow.reported,
    ]
    wanted += [root / "cells.parquet", root / "lineage.parquet"]
    return [Finding("files", str(path), "no such file") for path in wanted if not path.is_file()]


def kept(workflow: Workflow, seen: Seen) -> Iterator[Finding]:
    """Answers, questions, plans, scores, tables, figures and the report against what provenance.json says of them."""
    path = workflow.folder / provenance.PROVENANCE
    if not path.is_file():
        seen.notes.append(f"no {path}: answers, questions and figures were held to nothing")
        return
    told, found = shards.read_json(path).get("files", {}), workflows.kept(workflow.folder)
    for name in sorted(told | found):
        if told.get(name) != found.get(name):
            what = "is gone" if name not in found else "is new" if name not in told else "is another than it was"
            yield Finding("kept", str(workflow.folder / name), what)


def scorers(workflow: Workflow) -> Iterator[Finding]:
    """The weights that scores say they were made with, against the files that the jobs' slices name."""
    for job, paths in workflow.scores.items():
        slice_ = workflow.folder / "scores" / job / "config.json"
        if not (slice_.is_file() and all(path.is_file() for path in paths)):
            continue
        try:
            wanted = backends(read(slice_, ScoreSlice))
            named = shards.frame(paths, SCORE, ["backend"])["backend"].unique()
        except MadiError as problem:
            yield fault("weights", problem)
            continue
        made = {name.split()[0] for name in named}  # what follows says how pictures were resized
        for name in sorted(name for name in made if name.startswith(("clip@", "dino@")) and name not in wanted):
            yield Finding(
                "weights",
                str(paths[0].parent),
                f"scores by {name}; the scorers of its settings are {', '.join(wanted)}",
            )


def backends(job: ScoreSlice) -> list[str]:
    """What the scores of a job's CLIPs and ViTs say they were made with."""
    forms = {"clip": CLIP, "dino": DINO}
    asked = [("clip", job.clip), ("dino", job.dino), *((one.kind, one.folder) for one in job.more.values())]
    return [f"{kind}@{provenance.file_sha(Path(folder, forms[kind].weights))[:8]}" for kind, folder in asked]


def samples(workflow: Workflow, seen: Seen) -> Iterator[Finding]:
    """Each set: the shards against the list, and each sample's hash against its pictures."""
    for manifest in sorted((workflow.folder / "data").glob("*/samples.json")):
        try:
            yield from listed(manifest)
            total = shards.count(manifest, SAMPLE)
            rows = shards.numbered(manifest, SAMPLE, PICTURES)
            for file, number, row in progress(rows, total, f"samples of {manifest.parent.name}"):
                seen.counts["samples"] += 1
                sha = pictures_sha(row)
                if sha != row["sha256"]:
                    what = f"sha256 is {row['sha256'][:16]}, its pictures give {sha[:16]}"
                    yield Finding("samples", f"{file} row {number} ({row['sample_id']})", what)
        except MadiError as problem:
            yield fault("samples", problem)


def listed(manifest: Path) -> Iterator[Finding]:
    """The shards of a set, whole, against their hashes in the list."""
    for one in shards.read_json(manifest).get("shards", []):
        path = manifest.parent / one["file"]
        if path.is_file() and provenance.file_sha(path) != one["sha256"]:
            yield Finding("samples", str(path), f"another file than {manifest.name} lists")


def pictures_sha(row: dict) -> str:
    """The hash that a set's preparation gives a sample: over the bytes of its sources, then of its target."""
    digest = hashlib.sha256()
    for one in [*row["sources"], row["target"]]:
        digest.update(one["bytes"] if one else b"")
    return digest.hexdigest()


def weights(workflow: Workflow, seen: Seen) -> Iterator[Finding]:
    """Each trained run: its weights against their manifest, its slice and inputs against what it says it was."""
    root = workflow.folder / "runs"
    names = [name for name in workflow.slice.runs if (root / name).is_dir()]
    for name in progress(names, len(names), "weights"):
        try:
            yield from run(root / name, seen)
        except MadiError as problem:
            yield fault("weights", problem)


def run(folder: Path, seen: Seen) -> Iterator[Finding]:
    manifest, place = folder / "weights.json", folder / "weights"
    told = shards.read_json(manifest)
    found = provenance.file_shas(place) if place.is_dir() else {}
    seen.shas[str(place)] = provenance.joined(found)
    for name in sorted(told.keys() | found.keys()):
        if told.get(name) != found.get(name):
            how = "is gone" if name not in found else "is not in it" if name not in told else "is another file"
            yield Finding("weights", f"{place / name}", f"{how}, by {manifest.name}")
    was = shards.read_json(folder / "run.json")
    now = read(folder / "config.json", RunSlice).model_dump(mode="json")
    for path, here, there in differences(now, was["config"]):
        what = f"{path} is {here}, the run was trained with {there}"
        yield Finding("configuration", str(folder / "config.json"), what)
    latents = folder.parents[1] / "data" / "train" / "latents.parquet"
    sha = was["inputs"].get("latents")
    if sha and latents.is_file() and provenance.file_sha(latents) != sha:
        yield Finding("weights", str(latents), f"another file than {folder.name} was trained on")
    base = Path(now["base"])
    if "base" in was and (sha := folder_sha(base, seen)) and sha != was["base"]:
        yield Finding("weights", str(base), f"other weights than {folder.name} was trained from")


def folder_sha(folder: Path, seen: Seen) -> str | None:
    """The hash of a folder of weights, read once; None, with a note, where it is not to be had from here."""
    key = str(folder)
    if key not in seen.shas:
        if not folder.is_dir():
            note = f"{folder} is not to be had from here: what was made with it was not held against it"
            seen.notes += [note] * (note not in seen.notes)
            return None
        seen.shas[key] = provenance.folder_sha(folder)
    return seen.shas[key]


def slices(workflow: Workflow) -> Iterator[Finding]:
    """The slices of data, runs and edit jobs against the tables' slice, which holds the same settings."""
    root, told = workflow.folder, workflow.slice
    sets = {"train": told.data.train, "validation": told.data.validation, **told.data.benchmarks}
    pairs = [(root / "data" / name / "config.json", DataSlice, {"source": source}) for name, source in sets.items()]
    pairs += [(root / "runs" / name / "config.json", RunSlice, {"settings": one}) for name, one in told.runs.items()]
    for job in workflow.jobs:
        own = {name: settle.located(told.name, name, told.editors[name]) for name in editors_of(workflow, job)}
        wanted = {"sampler": told.sampler, "size_px": told.size_px, "editors": own}
        pairs.append((root / "edits" / job / "config.json", EditSlice, wanted))
    for path, kind, wanted in pairs:
        if not path.is_file():
            if kind is EditSlice:
                yield Finding("files", str(path), "no such file")
            continue
        try:
            found = read(path, kind)
        except MadiError as problem:
            yield fault("configuration", problem)
            continue
        for name, there in wanted.items():
            for where, mine, other in differences(plain(getattr(found, name)), plain(there), name):
                yield Finding("configuration", str(path), f"{where} is {mine}, by tables/config.json {other}")


def editors_of(workflow: Workflow, job: str) -> list[str]:
    return [name for name in workflow.slice.editors if workflow.job_of(name) == job]


def plain(value: object) -> object:
    """A piece of a configuration as JSON."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value
