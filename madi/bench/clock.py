"""Interleaved timings: ours and the other by turns, so that a busy or throttled machine slows both alike."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from madi.errors import MadiError
from madi.shards import atomic


@dataclass(frozen=True)
class Row:
    """Median seconds of ours and of the `other`, and how far the results are apart, relative to the largest value.

    ours_mb, other_mb: peak memory above what the model takes. share: of the measured matmul ceiling, by counted FLOPs.
    tokens: that a step goes through, without padding.
    """

    name: str
    other: str
    ours_s: float
    other_s: float
    max_rel_diff: float
    ours_mb: float | None = None
    other_mb: float | None = None
    share: float | None = None
    tokens: int | None = None

    @property
    def ratio(self) -> float:
        return self.other_s / self.ours_s


def seconds(work: Callable[[], object], device: torch.device) -> tuple[float, object]:
    """Wall seconds of `work`, until the device has done it, and what it gave."""
    wait(device)
    start = time.perf_counter()
    made = work()
    wait(device)
    return time.perf_counter() - start, made


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def by_turns(ours: Callable, other: Callable, repeats: int, device: torch.device) -> tuple[float, float, float]:
    """(median seconds of ours, of the other, largest relative difference of what they give), by turns, after one
    unmeasured turn each that warms both up."""
    times: tuple[list[float], list[float]] = [], []
    for turn in range(repeats + 1):
        (a, made), (b, wanted) = seconds(ours, device), seconds(other, device)
        if turn:
            times[0].append(a)
            times[1].append(b)
    return *map(statistics.median, times), apart(made, wanted)


def apart(made: torch.Tensor, wanted: torch.Tensor) -> float:
    """max |made - wanted| / max |wanted|."""
    return float((made - wanted).abs().max() / wanted.abs().max())


def hold(rows: list[Row], most: float) -> None:
    """Errors: MadiError naming a row whose two sides gave different results: its times compare nothing."""
    for row in rows:
        if not row.max_rel_diff <= most:
            raise MadiError(f"the two sides of {row.name} are {row.max_rel_diff:.1e} apart", "bench", f"at most {most}")


def table(rows: list[Row]) -> str:
    """The rows for a person, in Markdown."""
    lines = [
        "| row | against | ours s | other s | ratio | max rel. diff. | ours MB | other MB | of matmul | tokens/s |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        memory = ["" if value is None else f"{value:.0f}" for value in (row.ours_mb, row.other_mb)]
        share = "" if row.share is None else f"{row.share:.0%}"
        speed = "" if row.tokens is None else f"{row.tokens / row.ours_s:,.0f} / {row.tokens / row.other_s:,.0f}"
        numbers = f"{row.ours_s:.2f} | {row.other_s:.2f} | {row.ratio:.2f} | {row.max_rel_diff:.0e}"
        lines.append(f"| `{row.name}` | {row.other} | {numbers} | {' | '.join(memory)} | {share} | {speed} |")
    return "\n".join(lines)


def tell(rows: list[Row], path: Path | None) -> None:
    """Print the rows for a person, and write them to `path` if there is one."""
    print(table(rows))
    if path is not None:
        write(path, rows)


def write(path: Path, rows: list[Row]) -> None:
    """The rows as a JSON list of objects: a row's fields and `ratio`."""
    told = [{**vars(row), "ratio": row.ratio} for row in rows]
    with atomic(path) as partial:
        partial.write_text(json.dumps(told, indent=1) + "\n")
