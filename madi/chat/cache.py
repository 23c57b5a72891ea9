"""Answers kept by key, in one file that is only ever added to: what was paid for is never asked for again.

A line is one answer, or one request's failure. A line that a kill cut off is dropped when the file is opened again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from madi.errors import MadiError

FIELDS = {"key", "status", "raw", "reason", "tokens_in", "tokens_out", "cost", "revision"}


class Cache:
    """path: where answers are added; stored: more files of answers, which are only read."""

    def __init__(self, path: Path | None, stored: Iterable[Path] = ()):
        self.entries: dict[str, dict] = {}
        self.path, self.spent, self.calls = path, 0.0, 0
        for one in stored:
            if not one.is_file():
                raise MadiError("no such file", one, "stored answers (JSON lines)", "mend `answers` in the config")
            self._read(one)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.is_file():
                self._mend(path)
                for entry in self._read(path):
                    self.spent += entry.get("cost", 0.0)
                    self.calls += entry.get("calls", 0)
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)

    def _mend(self, path: Path) -> None:
        """Cut off what stands after the last whole line."""
        data = path.read_bytes()
        whole = data.rfind(b"\n") + 1
        if whole < len(data):
            os.truncate(path, whole)

    def _read(self, path: Path) -> list[dict]:
        found: list[dict] = []
        if not path.stat().st_size:
            return found
        for number, line in enumerate(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), 1):
            try:
                entry = json.loads(line)
                if lacking := FIELDS - entry.keys():
                    raise ValueError(f"lacks {', '.join(sorted(lacking))}")
            except (ValueError, AttributeError) as fault:
                where = f"{path} line {number}"
                raise MadiError(f"no stored answer ({fault})", where, "an object a line", "delete the line") from None
            self.entries[entry["key"]] = entry
            found.append(entry)
        return found

    def get(self, key: str) -> dict | None:
        return self.entries.get(key)

    def put(self, entry: dict) -> None:
        """Keep an entry, on disk before it is handed on: a process killed after this has it when it starts again."""
        self.entries[entry["key"]] = entry
        self.spent += entry["cost"]
        self.calls += entry["calls"]
        if self.path is not None:
            os.write(self._file, json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n")

    def close(self) -> None:
        if self.path is not None:
            os.close(self._file)
            self.path = None
