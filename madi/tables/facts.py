"""Cells that are not measured: read from the configuration (Tables 6, 8), counted over samples (Tables 9, 10) or over
edits (what scaling costs)."""

from typing import Any, get_args

import pandas as pd

from madi.tables.board import Board
from madi.tables.sources import Source
from madi.tables.spec import Ask, Fact, OfEdits, TablesSpec

Found = tuple[float | None, str] | None  # a number if it is one, and how it is shown; None: nothing to say here


def from_config(fact: Fact, settings: dict, run: str | None) -> Found:
    """The sum of the values at the fact's paths (`-path` subtracts); a single one may be of any kind."""
    if (fact.trained or any("{run}" in path for path in fact.config)) and run is None:
        return None
    found = [look_up(settings, path.lstrip("-").format(run=run)) for path in fact.config]
    if any(value is None for value in found):
        return None
    if not found:
        return None, fact.show
    if len(found) == 1 and not isinstance(found[0], int | float):
        return None, fact.show.format(found[0])
    total = sum(-value if path.startswith("-") else value for path, value in zip(fact.config, found))
    return float(total), fact.show.format(total)


def look_up(settings: dict, path: str) -> Any:
    """The value at a dotted path; None where any part of it is absent."""
    for part in path.split("."):
        if not isinstance(settings, dict) or part not in settings:
            return None
        settings = settings[part]
    return settings


def from_samples(fact: Fact, benchmark: str, samples: pd.DataFrame, board: Board) -> Found:
    """What the samples of a benchmark are, and which of them were edited with pauses."""
    mine = samples[samples.benchmark == benchmark]
    if mine.empty:
        return None
    paused = board.edits[(board.edits.benchmark == benchmark) & (board.edits.pause > 0)]
    if fact.count == "samples":
        return number(len(mine))
    if fact.count == "tasks":
        single = mine[mine.complexity.isna()]  # a compound is of several tasks at once: its `task` is its first op's
        return number(single.task.nunique())
    if fact.count == "levels":
        levels = mine.complexity.dropna().unique()
        return None, listed(levels if len(levels) > 1 else [])
    if fact.count == "has_task":
        return None, "yes" if mine.task.isin(fact.tasks).any() else "no"
    if fact.count == "scaled_samples":
        return number(paused.sample_id.nunique())
    return None, listed(paused.pause.unique())


def from_edits(ask: Ask, edits: pd.DataFrame, spec: TablesSpec) -> Found:
    """What a sample of a benchmark costs a system on average: its edits, the tokens of their prompts, or their sampler
    steps, summed over the pause counts and seeds that are asked for."""
    pauses, seeds = ask.pauses or [0], ask.seeds or [0]
    mine = edits[(edits.benchmark == ask.benchmark) & edits.editor.isin(spec.systems[ask.system].editors)]
    mine = mine[mine.pause.isin(pauses) & mine.seed.isin(seeds)]
    units = mine.groupby(["editor", "sample_id"], observed=True)[["tokens", "sampler_steps"]].agg(["size", "sum"])
    units = units[units["tokens", "size"] == len(pauses) * len(seeds)]  # a sample that was not scaled costs less
    if units.empty:
        return None
    column = {"edits": ("tokens", "size"), "prompt_tokens": ("tokens", "sum"), "steps": ("sampler_steps", "sum")}
    mean = float(units[column[ask.fact.count]].mean())
    return mean, f"{mean:.0f}"


def number(count: int) -> Found:
    return (float(count), str(count)) if count else (None, "N/A")


def listed(values: Any) -> str:
    return ",".join(str(int(value)) for value in sorted(values)) or "N/A"


def of(ask: Ask, source: Source) -> tuple[str, Found]:
    """Where the fact that a cell asks for comes from (the cell's kind), and the fact."""
    if ask.fact.config is not None:
        return "config", from_config(ask.fact, source.settings, ask.run)
    if ask.fact.count in get_args(OfEdits):
        return "edits", from_edits(ask, source.edits, source.spec)
    return "samples", from_samples(ask.fact, ask.benchmark, source.samples, source.board)
