"""What readers of published data share: rows of Parquet files, pictures as they were published, samples, rejections.

A reader streams: a row group in memory at a time, pictures never decoded here. What cannot be used is handed on as a
`Rejected` with its file, row and reason, never passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from madi import images
from madi.errors import MadiError
from madi.records import SAMPLE, required

BATCH = 16  # rows: of published row groups that hold a thousand pictures
OPTIONAL = {field.name: None for field in SAMPLE if not required(field)}
SHARD = re.compile(r"-(\d{5})-of-(\d{5})\.parquet$")


@dataclass(frozen=True)
class Rejected:
    """A row that makes no sample. reason: a few words, the same for the same fault, so that they can be counted."""

    file: str
    row: int
    reason: str


def files(folder: Path, pattern: str) -> list[Path]:
    """Files below a folder, in order. Errors: MadiError where there is none."""
    if folder.is_file():
        return [folder]
    found = sorted(folder.glob(pattern))
    if not found:
        raise MadiError(f"no file like {pattern}", folder, "the data set's files", "fetch them, or name their folder")
    return found


def missing(paths: Sequence[Path]) -> list[int]:
    """Numbers of the shards that `name-00003-of-00390.parquet` files leave out."""
    found = [SHARD.search(path.name) for path in paths]
    counts = {int(match[2]) for match in found if match}
    have = {int(match[1]) for match in found if match}
    return [number for number in range(max(counts, default=0)) if number not in have]


def rows(path: Path, columns: dict[str, str]) -> Iterator[tuple[int, dict]]:
    """(number, row) of a Parquet file, streamed; only the columns asked for.

    columns: name and what it is, for a person; a name that ends in `?` may be missing, its value is then None.
    Errors: MadiError naming the file and the first column that is not there, or a file that is cut short.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as fault:
        reason = " ".join(str(fault).split())[:80]
        raise MadiError(f"not a whole Parquet file ({reason})", path, do="fetch it again") from None
    there = set(file.schema_arrow.names)
    for name, what in columns.items():
        if not name.endswith("?") and name not in there:
            raise MadiError(f"no column {name}", path, f"{what}, beside {', '.join(sorted(there))}")
    names = [name.rstrip("?") for name in columns]
    number = 0
    with file:
        try:
            for batch in file.iter_batches(BATCH, columns=[name for name in names if name in there]):
                for row in batch.to_pylist():
                    yield number, {name: row.get(name) for name in names}
                    number += 1
        except (pa.ArrowException, OSError) as fault:
            reason = " ".join(str(fault).split())[:80]
            raise MadiError(f"damaged ({reason})", f"{path} after row {number}", do="fetch it again") from None


def picture(value: object) -> dict | None:
    """A published picture, struct {bytes, path} or bytes, as a record's; None where there is none ("NONE" is none)."""
    if isinstance(value, dict):
        value = value.get("bytes")
    if not isinstance(value, bytes | bytearray) or not value:
        return None
    return {"bytes": bytes(value), "path": None}


def words(value: object) -> str:
    """An instruction or caption, spaces in one; of a list the first."""
    if isinstance(value, list):
        value = value[0] if value else ""
    return " ".join(value.split()) if isinstance(value, str) else ""


def sample(
    sample_id: str,
    origin: tuple[Path | str, int],
    instruction: str,
    sources: Sequence[dict] = (),
    target: dict | None = None,
    revision: str = "",
    **more: object,
) -> dict:
    """A Sample row of published content but for `set`, `split` and `phash`, which `prepare` knows.

    The group is the first source's content, or what `more` says: a source image or session is resampled as one.
    """
    shown = [*sources, *([target] if target else [])]
    first = images.sha256(shown[0]["bytes"])[:16] if shown else sample_id
    file, row = origin
    return OPTIONAL | {
        "sample_id": sample_id,
        "group_id": first,
        "sources": list(sources),
        "target": target,
        "instruction": instruction,
        "sha256": images.sha256(b"".join(one["bytes"] for one in shown)),
        "origin": {"file": str(file), "row": row, "revision": revision},
        **more,
    }


def fault(source: dict | None, target: dict | None, instruction: str) -> str | None:
    """Why a row of source, target and instruction makes no edit."""
    if source is None or target is None:
        return "no source" if source is None else "no target"
    return None if instruction else "no instruction"
