"""One shard of an edit job: every batch that is not made yet, then one file of all its edits and a sheet to look at."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from madi import images, provenance, samples, shards
from madi.config import EditSlice, edit_sha
from madi.edit.ledger import Ledger
from madi.edit.parts import Parts
from madi.edit.work import Editor, Result, Useless, Work, plan, record
from madi.editors import Spending
from madi.errors import MadiError
from madi.lease import describe, only_writer
from madi.progress import progress, say
from madi.records import EDIT, EDIT_KEY

SHOWN = 4  # samples of each benchmark on the contact sheet


def run(
    job: EditSlice,
    files: dict[str, Path],
    weights: dict[str, Path],
    out: Path,
    contact: Path,
    shard: tuple[int, int] = (0, 1),
    spending: dict[str, Spending] | None = None,
) -> None:
    """Makes the edits of `job`. files: samples by benchmark; weights: `weights.json` by run; shard: which of how many;
    spending: prices and budgets of endpoints by editor.

    Batches that an interrupted run finished are taken up, not made again. Where another process is at the same edits,
    as one may be whose Snakemake was killed, it is waited for. Errors: MadiError, finished parts kept.
    """
    known(files, (ask.benchmark for ask in job.asks), "--benchmark")
    known(weights, (editor.run for editor in job.editors.values() if editor.run), "--weights")
    asked = {name: samples.load(path) for name, path in files.items()}
    paid = any(editor.endpoint for editor in job.editors.values())  # each edit is kept before the next is paid for
    batches = plan(job.asks, job.editors, asked, 1 if paid else job.sampler.batch, shard)
    key = fingerprint(job, files, weights, shard)
    parts = Parts(out, key)
    with only_writer(parts.root, "making these edits", key) as writer:
        if writer.before and writer.before.get("key") == key and out.exists():
            say(f"edit {job.job}: made by {describe(writer.before)}")
        else:
            make(job, batches, parts, lambda name: build(name, job, asked, weights, ledger_of(out, name, spending)))
            writer.hold()
            with shards.atomic(contact) as partial:
                partial.write_bytes(sheet(parts.rows(len(batches)), asked))
            shards.write(out, parts.rows(len(batches)), EDIT)
        parts.remove()


def make(job: EditSlice, batches: list[list[Work]], parts: Parts, called: Callable[[str], Editor]) -> None:
    """Every batch that is no part yet, by the editors of these names."""
    todo = [number for number in range(len(batches)) if not parts.has(number)]
    if len(todo) < len(batches):
        say(f"edit {job.job}: {len(batches) - len(todo)} of {len(batches)} batches were done already")
    places = {work.key: number for number, works in enumerate(batches) for work in works}
    editor = lru_cache(maxsize=1)(called)  # batches come editor by editor: one set of weights in memory
    for number in progress(todo, len(todo), f"edit {job.job}"):
        works = batches[number]
        made = editor(works[0].editor)
        try:
            results = turned(works, made, places, parts) if works[0].own else made.edit(works)
        except Useless as fault:
            parts.drop(places[key] for key in fault.works)
            raise
        parts.write(number, (record(work, result, made.facts) for work, result in zip(works, results, strict=True)))


def turned(works: list[Work], made: Editor, places: dict[tuple, int], parts: Parts) -> list[Result]:
    """Results of works whose sources are the editor's own edits of the turns before, which are among the parts.

    A turn after a failed one fails: there is nothing to edit.
    """
    before = {}
    for number in sorted({places[work.before] for work in works if work.before in places}):
        before |= {tuple(row[name] for name in EDIT_KEY): row["image"] for row in parts.read(number)}
    chained = [
        replace(work, sample=replace(work.sample, row=work.sample.row | {"sources": [before[work.before]]}))
        if before.get(work.before)
        else work
        for work in works
    ]
    there = [number for number, work in enumerate(works) if not work.before or before.get(work.before)]
    results = dict(zip(there, made.edit([chained[number] for number in there]), strict=True))
    gone = Result(None, "the turn before it has no edit")
    return [results.get(number, gone) for number in range(len(works))]


def known(given: dict[str, Path], needed: Iterable[str], option: str) -> None:
    """Holds the files of the command line against what the job needs."""
    for name in needed:
        if name not in given:
            raise MadiError(f"no file for {name}", "command line", f"{option} {name}=FILE")


def fingerprint(
    job: EditSlice, files: dict[str, Path], weights: dict[str, Path], shard: tuple[int, int] = (0, 1)
) -> str:
    """16 hex digits over all that a shard's edits depend on: its place, its job's slice and inputs, the code."""
    inputs = [[name, provenance.file_sha(path)] for name, path in sorted((files | weights).items())]
    kinds = {editor.kind for editor in job.editors.values()}
    base = provenance.folder_sha(job.base) if kinds & {"base", "truth_vae"} else ""
    given = [
        (provenance.file_sha if path.endswith(".json") else provenance.folder_sha)(path) for path in folders_of(job)
    ]
    own = {"endpoint": {"key", "tries", "timeout_s", "price", "budget"}}  # which change no edit
    facts = [
        shard,
        job.model_dump(mode="json", exclude={"editors": {"__all__": own}}),
        inputs,
        base,
        given,
        provenance.code_sha(),
    ]
    return images.sha256(json.dumps(facts, sort_keys=True).encode())[:16]


def folders_of(job: EditSlice) -> list[str]:
    """The folders that a job's editors read."""
    parts = [part for e in job.editors.values() for part in (e.pipeline, e.folder, e.published) if part]
    return [part.weights if hasattr(part, "weights") else part.path for part in parts]


def ledger_of(out: Path, name: str, spending: dict[str, Spending] | None) -> Ledger | None:
    """What one editor of a shard has cost and may cost; None where nothing is said of it."""
    own = (spending or {}).get(name)
    return Ledger(own, out.with_suffix(f".{name}.paid.jsonl")) if own else None


def build(name: str, job: EditSlice, asked: dict, weights: dict[str, Path], ledger: Ledger | None = None) -> Editor:
    """The editor called `name`. Only those with weights import torch. ledger: of an endpoint's."""
    from madi.edit.editors import folder as folders
    from madi.edit.editors import reference

    editor = job.editors[name]
    sha = edit_sha(editor, job.sampler, job.size_px)
    if editor.kind == "copy":
        return reference.Copy(sha)
    if editor.kind == "truth":
        return reference.Truth(sha)
    if editor.kind == "other_truth":
        return reference.OtherTruth(sha, asked)
    if editor.kind == "folder":
        return folders.Folder(editor.folder, sha, editor.turns)
    if editor.kind == "published":
        return folders.Published(editor.published, sha)
    if editor.kind == "endpoint":
        from madi.edit.editors.endpoint import Endpoint

        return Endpoint(editor.endpoint, sha, ledger)
    from madi.edit.editors import checkpoint

    checkpoint.set_threads(job.threads)
    if editor.kind == "pipeline":
        from madi.edit.editors.pipeline import Pipeline

        return Pipeline(editor.pipeline, sha)
    if editor.kind == "truth_vae":
        return checkpoint.truth_through_vae(job.base, sha, job.sampler)
    folder = trained(weights[editor.run]) if editor.kind == "run" else Path(job.base)
    return checkpoint.Checkpoint(folder, job.sampler, job.size_px, sha, editor.pauses_as)


def trained(manifest: Path) -> Path:
    """The folder of a run's weights, beside their manifest. Errors: MadiError where they are not those it lists."""
    folder = manifest.parent / "weights"
    told, found = shards.read_json(manifest), provenance.file_shas(folder)
    if wrong := sorted(name for name in told | found if told.get(name) != found.get(name)):
        what = f"{len(wrong)} files are not as the training left them ({wrong[0]})"
        raise MadiError(what, folder, f"what {manifest.name} lists", "delete both and train again")
    return folder


def sheet(rows: Iterable[dict], asked: dict[str, dict[str, samples.Sample]]) -> bytes:
    """JPEG of the first samples of each benchmark: source, then each editor and pause count at its first seed."""
    shown: dict[tuple, dict] = {}
    for row in rows:
        place = row["benchmark"], row["sample_id"]
        if place in shown or sum(benchmark == row["benchmark"] for benchmark, _ in shown) < SHOWN:
            shown.setdefault(place, {}).setdefault(f"{row['editor']} {row['pause']}", row["image"])
    columns = list(dict.fromkeys(column for edits in shown.values() for column in edits))
    pictures, labels = [], []
    for (benchmark, sample_id), edits in shown.items():
        sample = asked[benchmark][sample_id]
        edited = [edits[c] and images.decode(edits[c]["bytes"], sample_id) if c in edits else None for c in columns]
        pictures.append([sample.source() if sample.count else None, *edited])
        labels.append(f"{benchmark}: {sample.row['instruction']}")
    return images.contact_sheet(pictures, labels, ["source", *columns])
