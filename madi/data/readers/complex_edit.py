"""Complex-Edit as its hub repository holds it: a picture and an `edit` with eight steps and eight compounds.

`edit["compound"][c - 1]["compound_instruction"]` is the instruction of complexity c; `edit["sequence"][:c]` are its
operations, each with one of 24 names. A compound has no single task.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from madi.data.readers.published import Rejected, files, picture, rows, sample, words
from madi.errors import MadiError

LEVELS = 8
SPLITS = {"test_real": "real", "test_syn": "syn"}  # photographs, synthetic pictures; by a word in their files' names


def read(folder: Path, levels: int = LEVELS, split: str = "test_real") -> Iterator[dict | Rejected]:
    """Each picture of a split at complexities 1 to `levels`, all of one group. Errors: MadiError for no such split."""
    if split not in SPLITS:
        raise MadiError(f"complex_edit has no split {split!r}", folder, " or ".join(SPLITS))
    if folder.is_dir() and not list(folder.glob("**/*.parquet")):
        yield from listed(folder, levels, split)
        return
    before = 0  # rows of the files before: ids go on
    for path in of_split(files(folder, "**/*.parquet"), folder, split):
        number = -1
        for number, row in rows(path, {"image": "a picture", "edit": "steps and compounds"}):
            yield from levels_of(path, number, before + number, picture(row["image"]), row["edit"], levels, split)
        before += number + 1


def of_split(paths: list[Path], folder: Path, split: str) -> list[Path]:
    """The files whose names below the folder say no other split."""
    others = [word for name, word in SPLITS.items() if name != split]
    return [path for path in paths if not any(word in str(path.relative_to(folder)) for word in others)]


def listed(folder: Path, levels: int, split: str) -> Iterator[dict | Rejected]:
    """From the picture folder's own form: `metadata.jsonl` beside the pictures it names."""
    for path in of_split(files(folder, "**/metadata.jsonl"), folder, split):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            try:
                told = json.loads(line)
            except ValueError as fault:
                raise MadiError(f"not JSON ({fault})", f"{path} line {number + 1}", "an object a line") from None
            told = told if isinstance(told, dict) else {}
            file = path.parent / str(told.get("file_name", ""))
            inside = file.is_file() and file.resolve().is_relative_to(folder.resolve())
            shown = picture(file.read_bytes()) if inside else None
            yield from levels_of(path, number, number, shown, told.get("edit"), levels, split)


def levels_of(
    path: Path, number: int, name: int, shown: dict | None, edit: object, levels: int, split: str = "test_real"
) -> Iterator[dict | Rejected]:
    """The samples of row `number` of a file, the `name`-th picture of the split."""
    compounds, steps = parts(edit)
    if shown is None or len(compounds) < levels:
        yield Rejected(str(path), number, "no source" if shown is None else f"fewer than {levels} compounds")
        return
    for level in range(1, levels + 1):
        instruction = words(compounds[level - 1].get("compound_instruction"))
        if not instruction:
            yield Rejected(str(path), number, "no instruction")
            continue
        names = [step.get("name") for step in steps[:level]]
        yield sample(
            f"complex_edit-{name:04}-{level}",
            (path.name, number),
            instruction,
            [shown],
            complexity=level,
            spec=json.dumps({"operations": names, "index": name, "split": split}, sort_keys=True),
        )


def parts(edit: object) -> tuple[list[dict], list[dict]]:
    """Compounds and steps of an `edit`, which may be text; none of what is not in their form."""
    if isinstance(edit, str):
        try:
            edit = json.loads(edit)
        except ValueError:
            edit = None
    found = ((edit.get(key) if isinstance(edit, dict) else None) or [] for key in ("compound", "sequence"))
    compounds, steps = ([one for one in some if isinstance(one, dict)] for some in found)
    return compounds, steps
