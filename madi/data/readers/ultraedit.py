"""UltraEdit as its hub repositories hold it: Parquet shards of free-form edits, and of edits with a region.

Columns: `source_image`, `edited_image`, `mask_image` (white: where to edit; null, absent or the text NONE in free-form
shards), `edit_prompt`, `source_caption`, `target_caption`, `idx` (unique within a split only), `edit_object`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from madi.data.readers.published import Rejected, fault, files, picture, rows, sample, words

COLUMNS = {
    "idx": "a number",
    "edit_prompt": "the instruction",
    "source_image": "a picture",
    "edited_image": "a picture",
    "source_caption?": "a caption",
    "target_caption?": "a caption",
    "mask_image?": "a picture, white where to edit",
    "edit_object?": "what the region holds",
}


def read(folder: Path) -> Iterator[dict | Rejected]:
    """Edits, those of region shards with their region."""
    for path in files(folder, "**/*.parquet"):
        split = path.name.split("-")[0]
        for number, row in rows(path, COLUMNS):
            source, target = picture(row["source_image"]), picture(row["edited_image"])
            instruction = words(row["edit_prompt"])
            reason = fault(source, target, instruction)
            if reason:
                yield Rejected(str(path), number, reason)
                continue
            yield sample(
                f"ultraedit-{split}-{row['idx']}",
                (path.name, number),
                instruction,
                [source],
                target,
                region=picture(row["mask_image"]),
                source_caption=words(row["source_caption"]) or None,
                target_caption=words(row["target_caption"]) or None,
            )


def captions(folder: Path) -> Iterator[dict | Rejected]:
    """Text to image: each edited picture under its caption, and each source under its own."""
    for path in files(folder, "**/*.parquet"):
        split = path.name.split("-")[0]
        for number, row in rows(path, COLUMNS):
            for kind in ("source", "target"):
                shown = picture(row["source_image" if kind == "source" else "edited_image"])
                text = words(row[f"{kind}_caption"])
                if shown is None or not text:
                    yield Rejected(str(path), number, "no picture" if shown is None else "no caption")
                    continue
                name = f"ultraedit-{split}-{row['idx']}-{kind}"
                yield sample(name, (path.name, number), text, (), shown, target_caption=text)
