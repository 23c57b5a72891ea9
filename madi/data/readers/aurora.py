"""AURORA: its hub Parquet files, and the JSON lists with pictures beside them (Something-Something among them).

Parquet columns: `input`, `output`, `instruction`, `source` (which part: kubric, ag, magicbrush). JSON: a list of
{"instruction", "input", "output"}, instructions sometimes a list, paths from the repository's root; Something-Something
comes as extracted frames `<video>/first.jpg`, `last.jpg` beside a JSON that says `prompt` in its validation file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from madi.data.readers.published import Rejected, fault, files, picture, rows, sample, words
from madi.errors import MadiError

COLUMNS = {"input": "a picture", "output": "a picture", "instruction": "a text", "source": "the part's name"}
PARTS = ("kubric", "something")  # what the paper names; the others are MagicBrush's own and Action Genome
# Instructions on what no last frame shows: the words that AURORA's own filter drops.
UNSEEN = ("pretend", "holding", "fail", "roll", "then letting it", "until it falls down", "spin", "nothing happens")
UNSEEN += ("show", "falling like", "squeezing", "throwing", "slightly")


def read(folder: Path, parts: Sequence[str] = PARTS) -> Iterator[dict | Rejected]:
    """Edits of the parts, from Parquet files and from JSON lists, whichever lie in the folder."""
    lists = sorted(folder.glob("**/train*.json")) if folder.is_dir() else []
    for path in files(folder, "**/*.parquet") if not lists else sorted(folder.glob("**/*.parquet")):
        yield from _parquet(path, parts)
    for path in lists:
        if path.parent.name in parts:
            yield from listed(path, folder)


def _parquet(path: Path, parts: Sequence[str]) -> Iterator[dict | Rejected]:
    for number, row in rows(path, COLUMNS):
        part = str(row["source"])
        if part not in parts:
            continue
        source, target, instruction = picture(row["input"]), picture(row["output"]), words(row["instruction"])
        reason = fault(source, target, instruction)
        name = f"aurora-{part}-{path.stem}-{number}"
        yield (
            Rejected(str(path), number, reason)
            if reason
            else sample(name, (path.name, number), instruction, [source], target, task=part)
        )


def listed(path: Path, root: Path) -> Iterator[dict | Rejected]:
    """Edits of one JSON list, its pictures below `root`."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as problem:
        raise MadiError(f"not JSON ({problem})", path, "a list of edits", "fetch it again") from None
    if not isinstance(entries, list):
        raise MadiError(f"a JSON {type(entries).__name__}", path, "a list of edits")
    part = path.parent.name
    for number, entry in enumerate(entries):
        instruction = words(entry.get("instruction") or entry.get("prompt"))
        if part == "something" and unseen(instruction):
            yield Rejected(str(path), number, "an instruction that the last frame does not show")
            continue
        source, target = (_file(root, path.parent, entry.get(side)) for side in ("input", "output"))
        reason = fault(source, target, instruction)
        yield (
            Rejected(str(path), number, reason)
            if reason
            else sample(f"aurora-{part}-{number}", (path.name, number), instruction, [source], target, task=part)
        )


def unseen(instruction: str) -> bool:
    """Whether AURORA's filter drops it: "falls off" stays only together with "but"."""
    text = instruction.lower()
    return any(word in text for word in UNSEEN) or ("falls off" in text and "but" not in text)


def _file(root: Path, beside: Path, name: object) -> dict | None:
    """A picture that a list names, found below the folder: published paths begin where their authors kept them."""
    if not isinstance(name, str):
        return None
    parts = [part for part in PurePosixPath(name).parts if part not in ("..", ".", "/")]
    for start in range(len(parts)):
        for base in (root, beside):
            path = base.joinpath(*parts[start:])
            if path.is_file():
                return picture(path.read_bytes())
    return None
