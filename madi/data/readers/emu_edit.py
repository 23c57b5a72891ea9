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

from madi import images
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
PLACEHOLDER = 5  # pictures: a caption that so many different ones share describes none of them


def read(folder: Path, split: str = "test") -> Iterator[dict | Rejected]:
    """Edits of a split, all rows. `captions` in a row's `spec` is "clean" or what is wrong with its captions: tables
    show both the mean over all rows and the mean over the clean ones, which UltraEdit and ICEdit report."""
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
    """Captions that stand under several different pictures, told apart by their bytes: `hash` is of a row, and a
    picture has many rows, all with its one caption."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for path in paths:
        for _, row in rows(path, {name: COLUMNS[name] for name in ("image", "input_caption", "output_caption")}):
            shown = picture(row["image"])
            for name in ("input_caption", "output_caption") if shown else ():
                seen[plain(row[name])].add(images.sha256(shown["bytes"]))
    return {caption for caption, pictures in seen.items() if caption and len(pictures) >= PLACEHOLDER}


def unclean_of(before: str, after: str, common: set[str]) -> str | None:
    """Why a pair of captions tells no direction; None where it does."""
    if not before or not after:
        return "empty"
    if plain(before) == plain(after):
        return "the same"
    return "a placeholder" if {plain(before), plain(after)} & common else None


def plain(caption: object) -> str:
    return words(caption).lower().rstrip(".")
