"""A traced cell as a person reads it, as CSV, and as pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from madi import images, samples, shards
from madi.lineage.traced import Traced
from madi.records import EDIT
from madi.tables import trace, write
from madi.tables.workflow import Workflow

ENDS = 10  # rows shown from either end
MOST = 10  # reasons, and lost samples of one reason, that are shown


def text(found: Traced, whole: bool) -> str:
    """All of it; `whole`: every sample behind it, else the highest and the lowest."""
    lines = [*freshness(found), *number(found), "", "Asked", *(f"  {line}" for line in found.asked)]
    if not found.rows.empty:
        lines += ["", *sample_lines(found.rows, whole)]
    if found.lost:
        lines += ["", f"Lost ({len(found.lost)})", *lost_lines(found.lost, whole)]
    if found.editors:
        lines += ["", "Made by", *(line for one in found.editors for line in editor_lines(one))]
    if found.backends:
        lines += ["", "Scored by", *(f"  {name}: {', '.join(made)}" for name, made in found.backends.items())]
    if found.benchmarks:
        seeds = ", ".join(map(str, sorted(set(found.rows["seed"])))) or "none"
        lines += ["", "Samples", *(f"  {name}: {path}" for name, path in found.benchmarks.items()), f"  seeds: {seeds}"]
    return "\n".join(lines)


def freshness(found: Traced) -> list[str]:
    """First whether the number still stands."""
    if not found.stale:
        return []
    lines = [f"STALE: {found.name} is not what its scores, pictures and settings give now"]
    lines += [f"  {why}" for why in found.stale[:MOST]]
    rest = len(found.stale) - MOST
    return [*lines, *([f"  and {rest} more"] if rest > 0 else []), ""]


def number(found: Traced) -> list[str]:
    cell = found.cell
    view = write.view(cell)
    value = view.text + (f" ({cell['value']!r})" if cell["value"] is not None else "")
    said = [found.name, f"  {cell['label']}", f"  value     {value}"]
    if view.interval:
        said.append(f"  interval  {view.interval} (95 %)")
    if cell["kind"] == "scores":
        said.append(f"  n         {cell['n']} ({cell['excluded']} excluded, {cell['missing']} missing)")
    said.append(f"  paper     {view.reported or 'says nothing'}")
    if view.note:
        said.append(f"  note      {view.note}")
    if view.best:
        said.append("  bold      the separated best of its column")
    return [*said, f"  digest    {cell['digest']}"]


def sample_lines(rows: pd.DataFrame, whole: bool) -> list[str]:
    """Two lines a sample: its numbers, and below what was asked of the editor."""
    lines = []
    for part, some in rows.groupby("part", sort=False):
        cut = 0 if whole else len(some) - 2 * ENDS
        head = f"Behind it: {len(some)} edits" + (f" of the row that is {PARTS[part]}" if part else "")
        lines.append(head + (f", the {ENDS} highest and the {ENDS} lowest (--all shows every one)" if cut > 0 else ""))
        wide = max(map(len, some["sample_id"]))
        for place, row in enumerate(some.to_dict("records")):
            if cut > 0 and place == ENDS:
                lines.append(f"  ... {cut} between")
            if cut <= 0 or not ENDS <= place < len(some) - ENDS:
                lines += unit_lines(row, wide)
    return lines


PARTS = {"of": "compared", "over": "compared with"}


def unit_lines(row: dict, wide: int) -> list[str]:
    weight = "" if row["weight"] == 1 else f" weight {row['weight']:g}"
    known = isinstance(row["image_sha"], str)
    picture = f"image {row['image_sha'][:16]} {row['width']:.0f}x{row['height']:.0f}" if known else "no image"
    made = f"{row['editor']} pause {row['pause']} seed {row['seed']}"
    prompt = short(row["prompt"]) if isinstance(row["prompt"], str) else ""
    return [
        f"  {row['value']:10.5g}  {row['sample_id']:{wide}}  {made}{weight}  edit {row['edit_id']}  {picture}"
        f"  {row['score_ids']}",
        *([f"              {prompt}"] if prompt else []),
    ]


def short(prompt: str) -> str:
    """A prompt on one line, a token that repeats itself counted: `<|pause|> x8`."""
    counted = re.sub(r"(<[^<>]+>)\1+", lambda run: f"{run[1]} x{len(run[0]) // len(run[1])} ", prompt)
    line = " ".join(counted.split())
    return line if len(line) <= 200 else line[:200] + "..."


def lost_lines(lost: list[tuple[str, str, str]], whole: bool) -> list[str]:
    """Samples by what they are lost for."""
    by: dict[tuple[str, str], list[str]] = {}
    for sample, how, why in lost:
        by.setdefault((how, why), []).append(sample)
    lines = []
    for (how, why), names in by.items():
        rest = 0 if whole else len(names) - MOST
        shown = ", ".join(names if rest <= 0 else names[:MOST]) + (f" and {rest} more" if rest > 0 else "")
        lines += [f"  {len(names)} {how}: {why}", f"    {shown}"]
    return lines


def editor_lines(one: dict) -> Iterator[str]:
    yield f"  {one['editor']}: {one['kind']}, {one['edits']} edits in job {one['job']}"
    yield f"    weights    {', '.join(one['weights_sha']) or 'none'}"
    yield f"    config     {', '.join(one['config_sha']) or 'none'}"
    if "run" in one:
        files = "is gone" if one["files"] is None else f"{one['files']} files"
        yield f"    trained    {one['weights']} ({files})"
        yield f"    training   {one['training']} sha256 {one['training_sha'] or '(is gone)'}"


def listing(cells: list[dict]) -> str:
    """All names with their values."""
    named = [(trace.name_of(cell), write.pretty(cell["text"]), cell) for cell in cells]
    wide = max((len(name) for name, _, _ in named), default=0)
    return "\n".join(f"{name:{wide}}  {text} {write.interval(cell)}".rstrip() for name, text, cell in named)


def write_images(folder: Path, found: Traced, workflow: Workflow) -> int:
    """The source and the edit of each row as PNG, numbered in the rows' order; returns how many files."""
    places = {edit: number for number, edit in enumerate(found.rows["edit_id"], 1)}
    rows = {row["edit_id"]: row for row in found.rows.to_dict("records")}
    kept = {name: samples.load(path) for name, path in found.benchmarks.items()}
    count = 0
    for job in dict.fromkeys(one["job"] for one in found.editors):
        columns = ["edit_id", "benchmark", "sample_id", "image"]
        for file, at, edit in shards.numbered(workflow.edits[job], EDIT, columns):
            if edit["edit_id"] not in rows:
                continue
            row, start = rows[edit["edit_id"]], f"{places[edit['edit_id']]:04}_{safe(edit['sample_id'])}"
            sample = kept[edit["benchmark"]][edit["sample_id"]]
            pictures = {"source": sample.source()} if sample.count else {}
            if edit["image"]:
                name = f"{safe(row['editor'])}_pause{row['pause']}_seed{row['seed']}"
                pictures[name] = images.decode(edit["image"]["bytes"], f"{file} row {at} column image")
            for name, picture in pictures.items():
                with shards.atomic(folder / f"{start}_{name}.png") as partial:
                    partial.write_bytes(images.encode_png(picture))
                count += 1
    return count


def safe(name: str) -> str:
    """A name from data as part of a file's name: it leads nowhere, and is not too long."""
    return re.sub(r"[^A-Za-z0-9-]+", "_", name)[:80]
