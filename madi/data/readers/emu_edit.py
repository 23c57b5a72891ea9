"""Emu Edit's test set as its hub repository holds it, and its published generations beside it.

Columns: `instruction`, `image`, `task`, `split`, `idx` (repeats across tasks), `hash`, `input_caption`,
`output_caption`. No target, no region. The generations' repository has the same rows with `edited_image` and `model`,
under swapped split names: the two are joined by `hash`, never by split or order.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from madi.data.readers.published import Rejected, files, picture, rows, sample, words

COLUMNS = {
    "instruction": "a text",
    "image": "a picture",
    "task": "one of eight",
    "split": "test or validation",
    "idx": "a number",
    "hash": "what rows are joined by",
    "input_caption": "a caption",
    "output_caption": "a caption",
}
PLACEHOLDER = 5  # a caption of at least so many different pictures says nothing of any


def read(folder: Path, split: str = "test") -> Iterator[dict | Rejected]:
    """Edits of a split, each saying in `spec` whether its captions are clean: those of others make no CLIP-Dir."""
    paths = [path for path in files(folder, "**/*.parquet") if path.name.startswith(split) or path == folder]
    common = placeholders(paths)
    for path in paths:
        for number, row in rows(path, COLUMNS):
            source, instruction = picture(row["image"]), words(row["instruction"])
            if source is None or not instruction:
                yield Rejected(str(path), number, "no source" if source is None else "no instruction")
                continue
            before, after = words(row["input_caption"]), words(row["output_caption"])
            unclean = unclean_of(before, after, common)
            yield sample(
                f"emu_edit-{row['split']}-{row['task']}-{row['idx']}",
                (path.name, number),
                instruction,
                [source],
                task=row["task"],
                source_caption=before or None,
                target_caption=after or None,
                spec=json.dumps({"hash": row["hash"], "captions": unclean or "clean"}, sort_keys=True),
            )


def placeholders(paths: list[Path]) -> set[str]:
    """Captions that stand under several different pictures."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        for _, row in rows(path, {name: "" for name in ("hash", "input_caption", "output_caption")}):
            for name in ("input_caption", "output_caption"):
                seen[plain(row[name])].add(row["hash"])
    return {caption for caption, hashes in seen.items() if caption and len(hashes) >= PLACEHOLDER}


def unclean_of(before: str, after: str, common: set[str]) -> str | None:
    """Why a pair of captions tells no direction; None where it does."""
    if not before or not after:
        return "empty"
    if plain(before) == plain(after):
        return "the same"
    return "a placeholder" if {plain(before), plain(after)} & common else None


def plain(caption: object) -> str:
    return words(caption).lower().rstrip(".")
