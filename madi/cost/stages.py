"""What each stage of a scale comes to, by the rules that it has and by what their jobs do.

A part is the jobs of one rule. Times are those of a job that has its GPUs, or its cores, to itself.
"""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from madi import outside, settle
from madi.config import Config
from madi.cost import shapes
from madi.cost.counts import Counts
from madi.cost.machine import Machine
from madi.cost.told import Told
from madi.errors import MadiError

DAY = 24 * 3600
SHORT = 1800  # seconds
NAMES = ("data", "prompts", "train", "edit", "score", "tables")


@dataclass(frozen=True)
class Part:
    """The jobs of one rule. seconds: of each; gpus, cores: that a job takes; disk: bytes; operations: of
    all jobs; asks: whether they ask an endpoint; names: of the jobs, where one asks who they are."""

    rule: str
    seconds: tuple[float, ...]
    gpus: int = 0
    cores: int = 1
    operations: float = 0.0
    disk: float = 0.0
    files: int = 0
    calls: int = 0
    money: float = 0.0
    told: tuple[Told, ...] = ()
    warnings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    asks: bool = False

    @property
    def hours(self) -> float:
        return sum(self.seconds) / 3600

    @property
    def gpu_hours(self) -> float:
        return self.gpus * self.hours

    @property
    def core_hours(self) -> float:
        return 0.0 if self.gpus else self.cores * self.hours


@dataclass(frozen=True)
class Stage:
    name: str
    parts: tuple[Part, ...]

    def sum(self, name: str) -> float:
        return sum(getattr(part, name) for part in self.parts)

    @property
    def jobs(self) -> int:
        return sum(len(part.seconds) for part in self.parts)

    def wall(self, width: int) -> float:
        """Hours, with `width` jobs at once, each rule's after those of the rule before; who asks an endpoint does so
        one after the other."""
        rules: dict[tuple[str, bool], list[float]] = {}
        for part in self.parts:
            rules.setdefault((part.rule, part.asks), []).extend(part.seconds)
        return sum(makespan(seconds, 1 if asks else width) for (_, asks), seconds in rules.items()) / 3600


@dataclass(frozen=True)
class At:
    """A config on machines: what every stage asks."""

    config: Config
    gpu: Machine
    cpu: Machine

    @cached_property
    def counts(self) -> Counts:
        return Counts(self.config)

    @cached_property
    def net(self) -> shapes.Net:
        return shapes.net_of(self.config.model.base)

    @cached_property
    def vae(self) -> shapes.Vae:
        return shapes.vae_of(self.config.model.base)

    def on(self, device: str) -> Machine:
        return self.gpu if device == "cuda" else self.cpu

    def devices(self, device: str, processes: int = 1) -> float:
        """Of a job: GPUs, one a process, or cores by its threads."""
        return processes if device == "cuda" else self.config.threads / self.cpu.cores

    def rate(self, kind: str, device: str, processes: int = 1) -> float:
        """Operations a second of a job."""
        return self.on(device).rate(kind, self.devices(device, processes))

    def each(self, name: str, count: float = 1) -> float:
        """Seconds of so many of what is not counted in operations."""
        return count * self.cpu.seconds[name]

    def scenes(self, name: str) -> bool:
        return outside.scenes(self.config, name)

    @cached_property
    def shards(self) -> dict[str, int]:
        """How many jobs each edit job is split into, and its judging and scoring."""
        return settle.shards(self.config)

    @property
    def megapixels(self) -> float:
        """Of a picture as the model sees it."""
        return self.config.size_px**2 / 1e6


def makespan(seconds: Iterable[float], width: int) -> float:
    """How long jobs take that `width` run at once, the longest first."""
    free = [0.0] * width
    for one in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def estimate(config: Config, gpu: Machine, cpu: Machine, target: str | None = None) -> list[Stage]:
    """All stages, or the one called `target`. Errors: MadiError for another."""
    from madi.cost import data, edits, scores, tables, trainings

    if target is not None and target not in NAMES:
        raise MadiError(f"no stage called {target!r}", "target", f"one of {', '.join(NAMES)}")
    at = At(config, gpu, cpu)
    made = {
        "data": data.parts,
        "prompts": data.prompts,
        "train": trainings.parts,
        "edit": edits.parts,
        "score": scores.parts,
        "tables": tables.parts,
    }
    return [Stage(name, tuple(made[name](at))) for name in NAMES if target in (None, name)]


def seconds_of(operations: float, rate: float, name: str, inputs: dict) -> Told:
    """A time and what it is made of."""
    return Told(
        name, operations / rate, "s", "operations / (peak x share x devices)", {"operations": operations} | inputs
    )


def rated(at: At, kind: str, device: str, processes: int = 1) -> dict[str, float | str]:
    """What a rate is made of."""
    machine, devices = at.on(device), at.devices(device, processes)
    return {"machine": machine.name, "peak": machine.peak, f"share ({kind})": machine.shares[kind], "devices": devices}


def too_long(stage: Stage) -> Iterator[str]:
    """Of jobs that are longer than a day, which few partitions let run. A training goes on in another go."""
    for part in stage.parts:
        long = [one for one in zip_longest(part.seconds, part.names, fillvalue="") if one[0] > DAY]
        if not long or part.rule == "train_run":
            continue
        most, name = max(long)
        many = f"{len(long)} jobs are" if len(long) > 1 else "a job is"
        told = f"{part.rule}: {many} longer than a day, "
        fit = math.ceil(2 * most * (part.names.count(name) or len(part.seconds)) / DAY)
        key = f"`edit.shards_of: {{{name}: {fit}}}`" if name else f"{fit} shards"
        own = f"{name} with " if name else ""
        yield told + f"{own}{most / 3600:.0f} hours the longest: {key} would have each take half a day"


def too_short(stage: Stage) -> Iterator[str]:
    """Of edit jobs that are split into shards of minutes, which wait and load their weights for little."""
    for part in stage.parts:
        count = Counter(part.names)
        if part.rule != "edit_shard":
            continue
        for name, seconds in dict(zip(part.names, part.seconds)).items():
            if count[name] > 1 and seconds < SHORT <= seconds * count[name]:
                fit = math.floor(seconds * count[name] / SHORT)
                yield (
                    f"{part.rule}: {name}'s {count[name]} shards take {seconds / 60:.0f} minutes each: "
                    f"`edit.shards_of: {{{name}: {fit}}}` would have them take half an hour or more"
                )


def warnings(stages: Sequence[Stage]) -> list[str]:
    """What a person should know before starting."""
    found = [one for stage in stages for part in stage.parts for one in part.warnings]
    return found + [one for stage in stages for told in (too_long, too_short) for one in told(stage)]
