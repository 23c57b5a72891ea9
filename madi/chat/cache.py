"""Answers kept by key, in one file that is only ever added to: what was paid for is never asked for again.

A line is one answer, one request's failure, or a call that came to neither and had its price. A line that a kill cut
off is dropped when the file is opened again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from madi.errors import MadiError
from madi.lease import BEAT, Lease, only_writer

KEPT = ("ok", "missing")
Number = Annotated[int, Field(ge=0)]
Money = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Entry(BaseModel):
    """A line. paid: what its last call cost; cost, tokens: of all calls for one answer."""

    model_config = ConfigDict(extra="allow")

    key: str
    status: Literal["ok", "missing", "attempt", "forgotten"]
    raw: str
    reason: str | None
    tokens_in: Number
    tokens_out: Number
    cost: Money
    revision: str
    paid: Money
    calls: Number


class Cache:
    """path: where answers are added, within `writing`; stored: more files of answers, which are only read.

    spent, calls: of all runs that wrote to `path`. dearest: what the dearest call with an answer cost, None before one.
    """

    def __init__(self, path: Path | None, stored: Iterable[Path] = ()):
        self.entries: dict[str, dict] = {}
        self.path, self.spent, self.calls, self.dearest = path, 0.0, 0, None
        for one in stored:
            self._remember(lines(one))
        self._read()
        self._file: int | None = None
        self._lease: Lease | None = None
        self._looked = 0.0

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Be the only writer of `path` within the block, after waiting for another one, and know what it holds."""
        if self.path is None:
            yield
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        place = self.path.with_suffix(".writer")
        with only_writer(place, f"asking for what {self.path} keeps", str(self.path)) as self._lease:
            if self.path.is_file():
                cut_to_whole_lines(self.path)
            self._read()  # again: another writer may have added to it
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                yield
            finally:
                os.close(self._file)
                self._file = None
        with contextlib.suppress(OSError):  # not empty: someone waits
            place.rmdir()

    def hold(self) -> None:
        """Errors: MadiError where another process has become the writer, as one may while this one was asleep."""
        if self._lease is not None and time.monotonic() - self._looked > BEAT / 2:
            self._lease.hold()
            self._looked = time.monotonic()

    def _read(self) -> None:
        """Know what `path` holds."""
        self.spent, self.calls, self.dearest = 0.0, 0, None
        if self.path is not None and self.path.is_file():
            for entry in self._remember(lines(self.path)):
                self._count(entry)

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
        self._count(entry)
        if self.path is not None:
            os.write(self._file, json.dumps(entry, ensure_ascii=False, sort_keys=True).encode() + b"\n")

    def _count(self, entry: dict) -> None:
        self.spent += entry["paid"]
        self.calls += entry["calls"]
        if entry["status"] == "ok":
            self.dearest = max(self.dearest or 0.0, entry["paid"])


def lines(path: Path) -> list[dict]:
    """The entries of a file, without what a kill cut off. Errors: MadiError naming file and line of what is none."""
    if not path.is_file():
        raise MadiError("no such file", path, "stored answers (JSON lines)", "mend `answers` in the config")
    found: list[dict] = []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], 1):
        try:
            found.append(Entry.model_validate_json(line).model_dump())
        except ValidationError as fault:
            first = fault.errors()[0]
            what = f"no stored answer ({'.'.join(map(str, first['loc']))}: {first['msg']})".replace("(: ", "(")
            raise MadiError(what, f"{path} line {number}", "an object a line", "delete the line") from None
    return found


def cut_to_whole_lines(path: Path) -> None:
    """Cut off what stands after the last whole line."""
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        os.truncate(path, whole)
