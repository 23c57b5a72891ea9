"""Ablation grids: a block that names axes of a run, and the runs, editors and asks that it stands for.

A grid is laid out when a config is read, before anything else looks at it: what follows knows runs, editors and asks
alone. A point is one value of each axis, trained once a seed; a point's trainings are the editors of one system.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError

from madi import configfile
from madi.configfile import Key, KeyProblem
from madi.settings import AskedSet, Run, Shards
from madi.values import Count, Name, Natural, Part


def _number(value: Any) -> Any:
    """YAML takes 1e-4 for text: one value has one name, however it is spelt."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Value = Annotated[bool | int | float | str, BeforeValidator(_number)]
ELSEWHERE = {"seed": "`seeds` beside `axes`", "like": "`like` beside `axes`"}  # keys of a run that are no axis


class Grid(Part):
    """Trainings like the run `like`, one at every combination of values of the axes (dotted keys of a run) and every
    seed, each asked to edit `benchmarks` at these pause counts (`take`: so many samples of each), in so many shards."""

    like: Name
    axes: Annotated[dict[str, Annotated[list[Value], Field(min_length=1)]], Field(min_length=1)]
    seeds: Annotated[list[Natural], Field(min_length=1)] = [0]
    benchmarks: Annotated[list[AskedSet], Field(min_length=1)]
    pauses: Annotated[list[Natural], Field(min_length=1)] = [0]
    take: Count | None = None
    shards: Shards | None = None


@dataclass(frozen=True)
class Point:
    """One combination: its name, its values by axis, and its trainings by seed."""

    name: str
    values: dict[str, Value]
    runs: dict[int, str]


def points(name: str, grid: Grid) -> list[Point]:
    """All points, the first axis slowest: `rate_rate0p25_noise_level0p5`, a run `..._seed0`."""
    words = labels(grid.axes)
    found = []
    for values in product(*grid.axes.values()):
        parts = [f"{words[axis]}{text(value)}" for axis, value in zip(grid.axes, values)]
        own = "_".join([name, *parts])
        found.append(Point(own, dict(zip(grid.axes, values)), {seed: f"{own}_seed{seed}" for seed in grid.seeds}))
    return found


def labels(axes: dict[str, Any]) -> dict[str, str]:
    """What an axis is called: its last word, or all of it where another ends alike."""
    last = [axis.rpartition(".")[2] for axis in axes]
    return {axis: word if last.count(word) == 1 else axis.replace(".", "_") for axis, word in zip(axes, last)}


def text(value: Value) -> str:
    """A value as a part of a name: 0.25 as 0p25, 1e-05 as 1em05."""
    shown = f"{value:g}" if isinstance(value, float) else str(value).lower()
    return re.sub(r"[^a-z0-9]+", "_", shown.replace(".", "p").replace("-", "m").replace("+", ""))


def fill(raw: Any) -> Any:
    """`raw` with the runs, editors and asks of its grids; runs are filled in already (`configfile.fill_runs`).

    Errors: KeyProblem for a grid that cannot be laid out; one of another form is left for the config to refuse.
    """
    for name, grid in read(raw).items():
        found = points(name, grid)
        _check(name, grid, found, raw["train"]["runs"])
        like = raw["train"]["runs"][grid.like]
        runs = {
            run: set_at(like, {**point.values, "seed": seed}) for point in found for seed, run in point.runs.items()
        }
        editors = {run: {"kind": "run", "run": run} for run in runs}
        ask = {"editors": list(runs), "pauses": grid.pauses, "seeds": [0]} | ({"take": grid.take} if grid.take else {})
        asks = {f"{name}_{benchmark}": {"benchmark": benchmark, **ask} for benchmark in grid.benchmarks}
        added = {"train": {"runs": runs}, "edit": {"editors": editors, "asks": asks}}
        if grid.shards:
            added["edit"]["shards_of"] = dict.fromkeys(runs, grid.shards)
        _hold_new(name, added, raw)
        raw = configfile.merge(raw, added)
    return raw


def read(raw: Any) -> dict[str, Grid]:
    """The grids of a config that is not checked yet; none where their place, or theirs to go, has another form."""
    try:
        grids = {name: Grid.model_validate(grid) for name, grid in raw["grids"].items()}
        homes = [raw["train"]["runs"], raw["edit"]["editors"], raw["edit"]["asks"]]
    except (KeyError, TypeError, AttributeError, ValidationError):
        return {}
    whole = all(isinstance(home, dict) for home in homes) and all(re.fullmatch(r"[a-z0-9][a-z0-9_]*", n) for n in grids)
    return grids if whole else {}


def set_at(run: Any, values: dict[str, Value]) -> Any:
    """A run with the values at their dotted keys."""
    for axis, value in values.items():
        for part in reversed(axis.split(".")):
            value = {part: value}
        run = configfile.merge(run, value)
    return run


def _check(name: str, grid: Grid, found: list[Point], runs: dict[str, Any]) -> None:
    """Holds the run, the axes and their values against what a run may be, and that names tell points apart."""
    configfile.known(grid.like, runs, ("grids", name, "like"))
    like = runs[grid.like]
    for axis, values in grid.axes.items():
        where = ("grids", name, "axes", axis)
        _known_axis(axis, where)
        for number, value in enumerate(values):
            _check_run(set_at(like, {axis: value}), like, (*where, number), value)
    for point in found:
        first = next(iter(point.runs.values()))
        _check_run(set_at(like, point.values), like, ("grids", name, "axes"), f"the values of {first}")
    if len({point.name for point in found}) < len(found):
        raise KeyProblem(("grids", name, "axes"), "two points have one name", "each value of an axis once")
    for part in ("seeds", "benchmarks"):
        if len(set(getattr(grid, part))) < len(getattr(grid, part)):
            raise KeyProblem(("grids", name, part), f"found {getattr(grid, part)}", "each once")


def _known_axis(axis: str, where: Key) -> None:
    """KeyProblem unless a dotted key leads to a value of a run."""
    if axis in ELSEWHERE:
        raise KeyProblem(where, "no axis", ELSEWHERE[axis])
    parts = axis.split(".")
    for depth, part in enumerate(parts):
        names = sorted(configfile.fields(Run, tuple(parts[:depth])))
        if names and part not in names and not configfile.free(Run, tuple(parts[:depth])):
            raise KeyProblem(where, "unknown key", configfile.one_of(names), configfile.nearest(part, names))
    if configfile.fields(Run, tuple(parts)):
        raise KeyProblem(where, "no value but a section", "a key in it")


def _check_run(run: Any, like: Any, where: Key, shown: Any) -> None:
    """KeyProblem where a value makes no run; nothing where the run that it starts from is none, which is told later."""
    try:
        Run.model_validate(run)
    except ValidationError as bad:
        try:
            Run.model_validate(like)
        except ValidationError:
            return
        first = bad.errors()[0]
        lacking = f"{'.'.join(map(str, first['loc']))} too: it has none" if first["type"] == "missing" else None
        said = first["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        what = shown if isinstance(shown, str) and shown.startswith("the values of") else configfile.short(shown)
        raise KeyProblem(where, f"found {what}", lacking or said) from None


def _hold_new(name: str, added: dict, raw: dict) -> None:
    """KeyProblem where what a grid stands for has a name that is there already."""
    for section, part in (("train", "runs"), ("edit", "editors"), ("edit", "asks")):
        for there in added[section][part].keys() & raw[section][part].keys():
            raise KeyProblem(("grids", name), f"stands for {section}.{part}.{there}, which is there", "another name")
