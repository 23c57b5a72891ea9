"""Command-line values that more than one verb reads."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from madi.errors import MadiError


def named_files(values: Iterable[str], option: str) -> dict[str, Path]:
    """`NAME=FILE` values of one option, by name, in their order. Errors: MadiError for another form or a name twice."""
    found: dict[str, Path] = {}
    for value in values:
        name, equals, path = value.partition("=")
        if not (name and equals and path):
            raise MadiError(f"found {value!r}", option, "NAME=FILE")
        if name in found:
            raise MadiError(f"{name} is given twice", option, "each name once")
        found[name] = Path(path)
    return found


def shard_from(text: str, option: str) -> tuple[int, int]:
    """`3/16`: the fourth of 16 shards, as (3, 16). Errors: MadiError for another form, or a shard that is none."""
    number, _, count = text.partition("/")
    whole = all(word.isascii() and word.isdigit() and len(word) < 10 for word in (number, count))
    if not whole or int(number) >= int(count):
        raise MadiError(f"found {text[:40]!r}", option, "NUMBER/COUNT, counted from 0: 0/4 to 3/4 for four shards")
    return int(number), int(count)


def number(value: float, option: str, most: float) -> float:
    """`value`, from 0 to `most`. Errors: MadiError for another, and for what is no number."""
    if not 0 <= value <= most:
        raise MadiError(f"found {value}", option, f"a number from 0 to {most:g}")
    return value


def folder_for(path: Path, option: str) -> Path:
    """The folder, made before the work that is written into it. Errors: MadiError where it cannot be written into."""
    if path.exists() and not path.is_dir():
        raise MadiError("a file", path, "a folder, new or not", f"say another {option}")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            return path
    except OSError as fault:
        raise MadiError(
            f"cannot be written into ({fault.strerror})", path, "a folder", f"say another {option}"
        ) from None


def shipped(name: str) -> Path:
    """A model that ships with the project: from the folder one is in, else from where the package lies."""
    here = Path("assets") / "tiny" / name
    return here if here.is_dir() else Path(__file__).parents[1] / here


MOST = 1024  # pauses: 32 times the paper's largest count


def counts(text: str, option: str) -> tuple[int, ...]:
    """`0,8,16` as numbers, each once, in their order. Errors: MadiError for another form."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() and len(word) < 10 for word in words):
        what = f"found {text[:40]!r}"
        raise MadiError(what, option, f"whole numbers from 0 to {MOST} with commas between, such as 0,8,16,32")
    found = tuple(dict.fromkeys(map(int, words)))
    if max(found) > MOST:
        raise MadiError(f"found {max(found)}", option, f"counts of at most {MOST}")
    return found
