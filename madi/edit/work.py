"""What is asked of editors, what comes back, and the record it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from madi import images, records
from madi.errors import MadiError
from madi.jobs import shard_of
from madi.samples import Sample, first


@dataclass(frozen=True, eq=False)
class Work:
    """One edit to make: a sample of a benchmark, at a pause count and a sampling seed."""

    editor: str
    benchmark: str
    sample: Sample
    pause: int
    seed: int
    own: bool = False  # its source is the editor's own edit of the turn before

    @property
    def shown(self) -> str:
        """A name for the sources that are edited: works of one name are shown the same."""
        return f"{self.sample.id}/{self.pause}/{self.seed}" if self.own else self.sample.id

    @property
    def before(self) -> tuple[str, str, str, int, int] | None:
        """The key of the edit that this one edits; None where it edits the source it is given."""
        follows = self.sample.row["follows"] if self.own else None
        return (self.editor, self.benchmark, follows, self.pause, self.seed) if follows else None

    @property
    def key(self) -> tuple[str, str, str, int, int]:
        return self.editor, self.benchmark, self.sample.id, self.pause, self.seed


@dataclass(frozen=True, eq=False)
class Result:
    """An image uint8 [H,W,3], or None and why (refused: by who was asked; else it failed); the words the model was
    given, their number of tokens, and the rotary factors they were given: short, long, or none where no model was
    asked."""

    image: np.ndarray | None
    reason: str | None = None
    prompt: str = ""
    tokens: int = 0
    rope: str = "none"
    refused: bool = False


class Useless(MadiError):
    """An editor that gives nothing of use to anything. works: keys of those whose failures are its own."""

    def __init__(self, what: str, where: object = None, expected: object = None, do: str | None = None, works=()):
        super().__init__(what, where, expected, do)
        self.works = tuple(works)


class Editor(Protocol):
    """One thing that makes edits. `facts` are the columns of an Edit record that are the same for all its edits:
    sampler_steps, guidance_text, guidance_image, weights_sha, config_sha."""

    facts: dict

    def edit(self, works: Sequence[Work]) -> list[Result]:
        """One result a work, in their order; what a work gives does not depend on the others."""
        ...


def plan(
    asks: Iterable,
    editors: dict,
    benchmarks: dict[str, dict[str, Sample]],
    batch: int,
    shard: tuple[int, int] = (0, 1),
) -> list[list[Work]]:
    """Batches of works, each of one editor and one benchmark: list of lists of at most `batch`.

    By editor, then ask, then sample, so that all pauses and seeds of a sample stand together; where turns edit the
    editor's own edits, first all first turns, then all second ones. A work asked for twice is done once. Depends on
    nothing but its arguments, so an interrupted job finds the same batches again.

    shard: which of how many, whose groups alone are edited.
    """
    batches, seen = [], set()
    for name, editor in editors.items():
        for ask in asks:
            if name not in ask.editors:
                continue
            samples = of_shard(taken(benchmarks[ask.benchmark], ask.take), *shard)
            for some in by_turn(samples) if editor.chained else [list(samples.values())]:
                works = [work for work in _ask(name, ask, some, editor.chained) if work.key not in seen]
                seen.update(work.key for work in works)
                batches += [works[i : i + batch] for i in range(0, len(works), batch)]
    return batches


def taken(samples: dict[str, Sample], take: int | None) -> dict[str, Sample]:
    """The samples of an ask that takes so many, in their order; all for None."""
    if take is None:
        return samples
    chosen = first({name: sample.row["group_id"] for name, sample in samples.items()}, take)
    return {name: sample for name, sample in samples.items() if name in chosen}


def of_shard(samples: dict[str, Sample], number: int, count: int) -> dict[str, Sample]:
    """The samples of one of `count` shards: groups stay whole, so all turns of a session are there."""
    return {name: one for name, one in samples.items() if shard_of(one.row["group_id"], count) == number}


def by_turn(samples: dict[str, Sample]) -> list[list[Sample]]:
    """The samples by how many turns stand before them; one that follows a sample that is not there stands first, and
    its edit fails. Errors: MadiError for turns that follow one another in a ring."""
    depths: dict[str, int] = {}
    levels: list[list[Sample]] = []
    waiting = list(samples.values())
    while waiting:
        left = []
        for sample in waiting:
            follows = sample.row["follows"]
            if follows in samples and follows not in depths:
                left.append(sample)
                continue
            depths[sample.id] = depths[follows] + 1 if follows in samples else 0
            while len(levels) <= depths[sample.id]:
                levels.append([])
            levels[depths[sample.id]].append(sample)
        if len(left) == len(waiting):
            first = left[0]
            what = f"{first.id} follows {first.row['follows']}, which follows it"
            raise MadiError(what, f"{first.file} row {first.number} column follows", "an earlier turn")
        waiting = left
    return levels


def _ask(editor: str, ask, samples: Iterable[Sample], own: bool):
    for sample in samples:
        for pause in dict.fromkeys(ask.pauses):
            for seed in dict.fromkeys(ask.seeds):
                yield Work(editor, ask.benchmark, sample, pause, seed, own)


def record(work: Work, result: Result, facts: dict) -> dict:
    """The Edit row of a work and what came of it."""
    row = dict(zip(records.EDIT_KEY, work.key, strict=True))
    row |= {"status": "ok" if result.image is not None else "refused" if result.refused else "failed"}
    row |= {"reason": result.reason}
    row |= {"width": 0, "height": 0, "prompt": result.prompt, "tokens": result.tokens, "rope": result.rope} | facts
    if result.image is not None:
        data = images.encode_png(result.image)
        row |= {"image": {"bytes": data, "path": None}, "image_sha": images.sha256(data)}
        row |= {"height": result.image.shape[0], "width": result.image.shape[1]}
    return row | {"edit_id": records.edit_id(row)}
