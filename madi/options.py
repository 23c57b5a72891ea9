"""Command-line values that more than one verb reads."""

from __future__ import annotations

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


MOST = 1024  # pauses: 32 times the paper's largest count


def counts(text: str, option: str) -> tuple[int, ...]:
    """`0,8,16` as numbers, each once, in their order. Errors: MadiError for another form."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdigit() for word in words):
        raise MadiError(f"found {text!r}", option, "whole numbers from 0 with commas between, such as 0,8,16,32")
    found = tuple(dict.fromkeys(map(int, words)))
    if max(found) > MOST:
        raise MadiError(f"found {max(found)}", option, f"counts of at most {MOST}")
    return found
