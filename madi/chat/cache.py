"""Answers kept by key, in one file that is only ever added to: what was paid for is never asked for again.

A line is one answer, one request's failure, or a call that came to neither and had its price. A line that a kill cut
off is dropped when the file is opened again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from madi.errors import MadiError

FIELDS = {"key", "status", "raw", "reason", "tokens_in", "tokens_out", "cost", "revision", "paid", "calls"}
KEPT = ("ok", "missing")


class Cache:
    """path: where answers are added; stored: more files of answers, which are only read.

    spent, calls: of all runs that wrote to `path`.
    """

    def __init__(self, path: Path | None, stored: Iterable[Path] = ()):
        self.entries: dict[str, dict] = {}
        self.path, self.spent, self.calls = path, 0.0, 0
        for one in stored:
            self._remember(lines(one))
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                cut_to_whole_lines(path)
                for entry in self._remember(lines(path)):
                    self.spent += entry["paid"]
                    self.calls += entry["calls"]
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def _remember(self, found: list[dict]) -> list[dict]:
        self.entries |= {entry["key"]: entry for entry in found if entry["status"] in KEPT}
        return found

    def get(self, key: str) -> dict | None:
        return self.entries.get(key)

    def put(self, entry: dict) -> None:
        """Keep an entry, on disk before it is handed on: a process killed after this has it when it starts again."""
        self.entries[entry["key"]] = entry
        self._add(entry)

    def attempt(self, key: str, paid: float) -> None:
        """Keep that a call was made that answers nothing, and what was paid for it."""
        nothing = {"raw": "", "reason": None, "tokens_in": 0, "tokens_out": 0, "cost": 0.0, "revision": ""}
        self._add(nothing | {"key": f"attempt {key}", "status": "attempt", "paid": paid, "calls": 1})

    def _add(self, entry: dict) -> None:
        self.spent += entry["paid"]
        self.calls += entry["calls"]
        if self.path is not None:
            os.write(self._file, json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n")


def lines(path: Path) -> list[dict]:
    """The entries of a file, without what a kill cut off. Errors: MadiError naming file and line of what is none."""
    if not path.is_file():
        raise MadiError("no such file", path, "stored answers (JSON lines)", "mend `answers` in the config")
    found: list[dict] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        try:
            entry = json.loads(line)
            if lacking := FIELDS - entry.keys():
                raise ValueError(f"lacks {', '.join(sorted(lacking))}")
        except (ValueError, AttributeError) as fault:
            where = f"{path} line {number}"
            raise MadiError(f"no stored answer ({fault})", where, "an object a line", "delete the line") from None
        found.append(entry)
    return found


def cut_to_whole_lines(path: Path) -> None:
    """Cut off what stands after the last whole line."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
