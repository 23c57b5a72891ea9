"""An estimate for people: a table by stage with totals, every formula with its inputs, or all of it as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from madi.cost.stages import Stage, warnings
from madi.shards import write_json

SUMS = ("gpu_hours", "core_hours", "operations", "disk", "files", "calls", "money")
HEAD = ("stage", "jobs", "on GPUs", "on cores", "wall", "disk", "files", "calls", "for calls")


def rows(stages: Sequence[Stage], width: int) -> list[dict]:
    """A row of numbers a stage, and their total; wall hours are one stage after the other."""
    found = [
        {"stage": one.name, "jobs": one.jobs, "wall_hours": one.wall(width)} | {name: one.sum(name) for name in SUMS}
        for one in stages
    ]
    total = {name: sum(row[name] for row in found) for name in ("jobs", "wall_hours", *SUMS)}
    return [*found, {"stage": "total"} | total]


def table(stages: Sequence[Stage], width: int) -> str:
    """Of all stages, columns aligned."""
    lines = [list(HEAD)]
    for row in rows(stages, width):
        hours = [hour(row[name]) for name in ("gpu_hours", "core_hours", "wall_hours")]
        money = f"{row['money']:,.2f}" if row["money"] else "-"
        counts = [f"{row[name]:,}" for name in ("files", "calls")]
        lines.append([row["stage"], f"{row['jobs']:,}", *hours, size(row["disk"]), *counts, money])
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    aligned = (
        "  ".join(
            word.ljust(wide) if not column else word.rjust(wide)
            for column, (word, wide) in enumerate(zip(line, widths))
        )
        for line in lines
    )
    return "\n".join(aligned)


def hour(value: float) -> str:
    """Hours in words, with as many digits as mean something."""
    if not value:
        return "-"
    if value < 1:
        return f"{60 * value:.0f} min" if value > 1 / 6 else f"{60 * value:.1f} min"
    return f"{value:,.0f} h" if value >= 10 else f"{value:.1f} h"


def size(value: float) -> str:
    """Bytes in words."""
    for unit, many in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if value >= many:
            return f"{value / many:.1f} {unit}"
    return f"{value / 1e3:.0f} kB" if value else "-"


def number(value: float | str) -> str:
    """An input: whole numbers in full, others with four digits."""
    if isinstance(value, str):
        return value
    if float(value).is_integer() and abs(value) < 1e9:
        return f"{int(value):,}"
    return f"{value:.4g}"


def explained(stages: Sequence[Stage]) -> Iterator[str]:
    """Every formula with its inputs, by stage and rule."""
    for stage in stages:
        for part in stage.parts:
            jobs = f"{len(part.seconds):,} job" + "s" * (len(part.seconds) != 1)
            count = part.gpus or part.cores
            on = f"{count} {'GPU' if part.gpus else 'core'}{'s' * (count > 1)}"
            long = f", the longest {hour(max(part.seconds, default=0) / 3600)}"
            yield f"\n{stage.name}: {part.rule}: {jobs}, {on} each{long}"
            for told in part.told:
                value = (
                    hour(told.value / 3600)
                    if told.unit == "s" and told.value > 60
                    else f"{number(told.value)} {told.unit}"
                )
                yield f"  {told.name} = {value} = {told.formula}"
                yield from (f"      {name}: {number(value)}" for name, value in told.inputs.items())


def write(path: Path, stages: Sequence[Stage], width: int, about: dict) -> None:
    """All numbers, inputs among them."""
    parts = {stage.name: [asdict(part) for part in stage.parts] for stage in stages}
    told = {"about": about, "rows": rows(stages, width), "parts": parts, "warnings": warnings(stages)}
    write_json(path, told)
