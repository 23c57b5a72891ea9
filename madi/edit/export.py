"""Edits as files, in the layout that a benchmark's official scripts expect, or under their samples' names."""

from __future__ import annotations

import json
from pathlib import Path

from madi import samples, shards
from madi.edit.layouts import FINAL, place
from madi.editors import Turns
from madi.errors import MadiError
from madi.progress import progress
from madi.records import EDIT


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
) -> int:
    """Write the images of one editor at one pause count, at one seed or (None) all, below `out`; returns how many.

    edits: one shard or all of a job; file: the benchmark's samples; turns: what later turns edited, which MagicBrush's
    names tell. Errors: MadiError where there is no such edit, where two edits want one place, and for a sample that the
    layout has no place for. Failed edits leave no file: official scripts count them as missing.
    """
    asked = samples.load(file)
    taken: dict[str, tuple[str, int]] = {}
    rows = shards.numbered(edits, EDIT)
    wanted = {"benchmark": benchmark, "editor": editor, "pause": pause} | ({"seed": seed} if seed is not None else {})
    mine = (row for row in rows if all(row[2][key] == value for key, value in wanted.items()))
    for shard, _, row in progress(mine, 0, f"export {editor}"):
        if row["status"] != "ok":
            continue
        sample = asked.get(row["sample_id"])
        if sample is None:
            raise MadiError(f"edit of {row['sample_id']!r}", shard, f"a sample of {file}")
        name = place(layout, sample, 0 if layout in FINAL else pause, row["seed"], turns)
        if name in taken:
            do = "say which with --seed" if taken[name][0] == sample.id else None
            two = " and ".join(f"{own} at seed {of}" for own, of in (taken[name], (sample.id, row["seed"])))
            raise MadiError(f"{name} is the place of two edits ({two})", shard, "one of each", do)
        taken[name] = sample.id, row["seed"]
        write(out / name, row["image"]["bytes"])
        if layout == "geneval":
            rule = sample.spec().get("geneval", {}) | {"prompt": sample.row["instruction"]}
            write((out / name).parents[1] / "metadata.jsonl", json.dumps(rule).encode() + b"\n")
    if not taken:
        where = ", ".join(map(str, shards.files(edits)))
        at = f"pause {pause}" + (f" and seed {seed}" if seed is not None else "")
        raise MadiError(f"no edit of {benchmark} by {editor} at {at}", where, "an editor of this job")
    return len(taken)


def write(path: Path, data: bytes) -> None:
    with shards.atomic(path) as partial:
        partial.write_bytes(data)
