"""Files that stages hand to each other: Parquet shards and JSON, written whole or not at all, checked when read."""

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from madi.errors import MadiError
from madi.records import IMAGE, IMAGES, required

ROW_GROUP = 64  # rows: small enough that a group of images fits anywhere


@contextlib.contextmanager
def atomic(path: Path | str) -> Iterator[Path]:
    """A path to write to, which takes the name `path` only if the block ends well: readers never meet half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        as_umask(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def as_umask(path: Path) -> None:
    """Give a file, or all files of a folder, the mode that a plain `open` would: safetensors writes for its owner
    alone, and the results of a cluster are read by others."""
    mask = os.umask(0)
    os.umask(mask)
    for file in [path, *path.rglob("*")] if path.is_dir() else [path]:
        if file.is_file():
            file.chmod(0o666 & ~mask)


def write(path: Path | str, rows: Iterable[dict], schema: pa.Schema) -> int:
    """Write rows (may be a generator) as one Parquet file; returns how many.

    Columns that may be null are null where a row lacks them. Errors: MadiError naming file, row and column for a
    missing or mistyped value and for a column that the record does not have. Equal rows give equal bytes.
    """
    keys = [field.name for field in schema if pa.types.is_dictionary(field.type)]
    rows, count = iter(rows), 0
    with atomic(path) as partial:
        # Dictionaries and statistics for keys only: pictures have neither repeats nor an order.
        options = dict(compression="zstd", use_dictionary=keys, write_statistics=keys, write_page_checksum=True)
        with pq.ParquetWriter(partial, schema, **options) as writer:
            while group := list(islice(rows, ROW_GROUP)):
                writer.write_batch(_batch(group, schema, path, count), row_group_size=ROW_GROUP)
                count += len(group)
    return count


def _batch(rows: list[dict], schema: pa.Schema, path: Path | str, first: int) -> pa.RecordBatch:
    for number, row in enumerate(rows, first):
        for name in row.keys() - set(schema.names):
            raise MadiError(f"unknown column {name!r}", f"{path} row {number}", ", ".join(schema.names))
    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if required(field) and None in values:
            raise MadiError(
                "no value", f"{path} row {first + values.index(None)} column {field.name}", "one in each row"
            )
        try:
            columns.append(pa.array(values, type=field.type))
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            raise _mistyped(values, field, path, first) from None
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _mistyped(values: list, field: pa.Field, path: Path | str, first: int) -> MadiError:
    for number, value in enumerate(values, first):
        try:
            pa.array([value], type=field.type)
        except (pa.ArrowException, TypeError, ValueError, OverflowError):
            what = f"found {type(value).__name__} {str(value)[:40]!r}"
            return MadiError(what, f"{path} row {number} column {field.name}", field.type)
    return MadiError("values do not fit together", f"{path} row {first} column {field.name}", field.type)


def _known_by(path: Path) -> Path | str:
    """What a stage is known to have made a shard by: the set's manifest that lists it, or the shard itself."""
    manifest = path.parent.with_suffix(".json")
    with contextlib.suppress(MadiError):
        if manifest.is_file() and path in files(manifest):
            return manifest
    return "it"


@contextlib.contextmanager
def _reading(path: Path | str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise MadiError("no such file", path, do="run the stage that makes it") from None
    except (pa.ArrowException, OSError) as fault:
        do = f"delete {_known_by(Path(path))} and run the stage that makes it again"
        raise MadiError(f"not a whole Parquet file ({str(fault)[:80]})", path, do=do) from None


def _open(path: Path | str, schema: pa.Schema, columns: list[str] | None) -> tuple[pq.ParquetFile, list[str]]:
    """The file, after holding its columns against the record's; `a.b` is the part b of column a."""
    with _reading(path):
        if Path(path).stat().st_size == 0:
            raise MadiError("the file is empty", path, "a Parquet file", "run the stage that makes it again")
        file = pq.ParquetFile(path, page_checksum_verification=True)
        found = file.schema_arrow
    for name in dict.fromkeys(name.split(".")[0] for name in columns or schema.names):
        wanted = schema.field(name).type
        if name not in found.names:
            raise MadiError(f"column {name} is missing", path, ", ".join(schema.names))
        if found.field(name).type != wanted:
            raise MadiError(f"column {name} is {found.field(name).type}", path, wanted)
    return file, list(columns or schema.names)


def files(paths: Path | str | Iterable) -> list[Path]:
    """The shards that are meant: of a manifest (`.json`) those that it lists, beside it; else the paths themselves.

    Errors: MadiError naming the manifest where it is none.
    """
    found: list[Path] = []
    for path in [paths] if isinstance(paths, str | Path) else paths:
        if Path(path).suffix != ".json":
            found.append(Path(path))
            continue
        listed = read_json(path).get("shards")
        if not isinstance(listed, list) or not all(isinstance(one, dict) and "file" in one for one in listed):
            raise MadiError("lists no shards", path, "a manifest of shards", "run the stage that makes it again")
        mine = [Path(path).parent / one["file"] for one in listed]
        for gone in (shard for shard in mine if not shard.is_file()):
            raise MadiError("lists a shard that is gone", path, gone, "delete the list and run the stage that makes it")
        found += mine
    return found


def numbered(
    paths: Path | str | Iterable, schema: pa.Schema, columns: list[str] | None = None, start: int = 0, stop=math.inf
) -> Iterator[tuple[Path, int, dict]]:
    """(file, row in it, content) of the rows from `start` to before `stop` of one or several shards or of a manifest.

    A row group is in memory at a time; those outside are not read. Errors: MadiError naming the file that is missing,
    cut short, damaged (pages carry checksums) or of another record.
    """
    first = 0  # of the row group, in all shards together
    for path in files(paths):
        if first >= stop:
            return
        file, names = _open(path, schema, columns)
        with file:
            at = 0
            for group in range(file.num_row_groups):
                count = file.metadata.row_group(group).num_rows
                if first + count > start and first < stop:
                    with _reading(path):
                        table = file.read_row_group(group, columns=names, use_threads=False)
                    for number, row in enumerate(table.to_pylist()):
                        if start <= first + number < stop:
                            yield path, at + number, row
                first, at = first + count, at + count


def group(path: Path, number: int, schema: pa.Schema, columns: list[str]) -> list[dict]:
    """The rows of one row group of a shard. Errors as `numbered`."""
    file, names = _open(path, schema, columns)
    with file, _reading(path):
        return file.read_row_group(number, columns=names, use_threads=False).to_pylist()


def stream(paths: Path | str | Iterable, schema: pa.Schema, columns: list[str] | None = None) -> Iterator[dict]:
    """Rows of one or several shards in order, a row group in memory at a time. Errors as `numbered`."""
    return (row for _, _, row in numbered(paths, schema, columns))


def count(paths: Path | str | Iterable, schema: pa.Schema) -> int:
    """How many rows there are, from the files' ends. Errors as `numbered`."""
    total = 0
    for path in files(paths):
        with _open(path, schema, None)[0] as file:
            total += file.metadata.num_rows
    return total


def read(path: Path | str, schema: pa.Schema, columns: list[str] | None = None) -> list[dict]:
    """All rows of one shard; `columns` narrows them. Errors as `stream`."""
    return list(stream(path, schema, columns))


def frame(paths: Path | str | Iterable, schema: pa.Schema, columns: list[str] | None = None):
    """Rows of one or several shards as a pandas DataFrame, keys as plain strings; no images unless `columns` asks."""
    columns = columns or [field.name for field in schema if field.type not in (IMAGE, IMAGES)]
    plain = pa.schema([_plain(schema.field(name)) for name in columns])
    tables = [plain.empty_table()]
    for path in files(paths):
        file, names = _open(path, schema, columns)
        with file, _reading(path):
            tables.append(file.read(columns=names, use_threads=False).select(names).cast(plain))
    return pa.concat_tables(tables).to_pandas()


def _plain(field: pa.Field) -> pa.Field:
    # Categories of several files do not concatenate and group differently: plain strings have no such surprises.
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


def write_json(path: Path | str, value: object) -> None:
    """Write JSON with sorted keys, whole or not at all. Errors: MadiError for what JSON cannot hold."""
    try:
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as fault:
        raise MadiError(f"cannot be written as JSON ({fault})", path) from None
    with atomic(path) as partial:
        partial.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path | str) -> dict:
    """Read a JSON object. Errors: MadiError naming file, line and column."""
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MadiError("no such file", path, do="run the stage that makes it") from None
    except json.JSONDecodeError as fault:
        raise MadiError(f"not JSON ({fault.msg})", f"{path} line {fault.lineno} column {fault.colno}") from None
    except (OSError, UnicodeDecodeError) as fault:
        raise MadiError(f"cannot be read ({fault})", path) from None
    if not isinstance(found, dict):
        raise MadiError(f"a JSON {type(found).__name__}", path, "an object")
    return found
