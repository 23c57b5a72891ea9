"""What is asked of editors, what comes back, and the record it becomes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from madi import images, records
from madi.samples import Sample

SIDE = 16  # px: a token is 2x2 latents of 8x8 px, so sides of what a model sees are multiples of it


@dataclass(frozen=True, eq=False)
class Work:
    """One edit to make: a sample of a benchmark, at a pause count and a sampling seed."""

    editor: str
    benchmark: str
    sample: Sample
    pause: int
    seed: int

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


class Editor(Protocol):
    """One thing that makes edits. `facts` are the columns of an Edit record that are the same for all its edits:
    sampler_steps, guidance_text, guidance_image, weights_sha, config_sha."""

    facts: dict

    def edit(self, works: Sequence[Work]) -> list[Result]:
        """One result a work, in their order; what a work gives does not depend on the others."""
        ...


def plan(asks: Iterable, editors: Iterable[str], benchmarks: dict[str, dict[str, Sample]], batch: int):
    """Batches of works, each of one editor and one benchmark: list of lists of at most `batch`.

    By editor, then ask, then sample, so that all pauses and seeds of a sample stand together. A work asked for twice
    is done once. A later turn of a session (`follows`) edits the source it was given, not the edit of the turn before.
    Depends on nothing but its arguments, so an interrupted job finds the same batches again.
    """
    batches, seen = [], set()
    for editor in editors:
        for ask in asks:
            if editor in ask.editors:
                works = [work for work in _ask(editor, ask, benchmarks[ask.benchmark]) if work.key not in seen]
                seen.update(work.key for work in works)
                batches += [works[i : i + batch] for i in range(0, len(works), batch)]
    return batches


def _ask(editor, ask, samples):
    for sample in samples.values():
        for pause in dict.fromkeys(ask.pauses):
            for seed in dict.fromkeys(ask.seeds):
                yield Work(editor, ask.benchmark, sample, pause, seed)


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


def fit(image: np.ndarray) -> np.ndarray:
    """The image [H,W,3] with its sides at the nearest multiples of 16 px; the same array where they are already."""
    height, width = (max(SIDE, round(side / SIDE) * SIDE) for side in image.shape[:2])
    return images.resize(image, height, width)
