"""The pictures of a score job, decoded and prepared for its embedding models ahead of their use, in worker threads.

Pillow and torchvision release the interpreter while they decode and resize, so a GPU does not wait for one core.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from madi import images
from madi.samples import Sample
from madi.score.rows import image_of

KEPT = 16  # samples whose pictures are kept: all edits of a sample stand together


class Picture:
    """A picture uint8 [H,W,3], its key (equal pictures have one), and what each embedding model takes of it."""

    def __init__(self, pixels: np.ndarray, embedders: Iterable):
        self.pixels = pixels
        self.key = f"{pixels.shape} {images.sha256(pixels.tobytes())}"
        self.prepared = {one.name: one.tower.prepare(pixels) for one in embedders}


@dataclass(frozen=True, eq=False)
class Seen:
    """One edit while its pixels are in memory. edit: its row without the image; source, target: the sample's first
    source and its target, where it has them (a text-to-image sample has neither here)."""

    edit: dict
    sample: Sample
    made: Picture
    source: Picture | None
    target: Picture | None

    def reference(self, against: str) -> Picture:
        """What an edit is held against: "source" or "target"."""
        return self.source if against == "source" else self.target

    def fitted(self, against: str) -> np.ndarray:
        """The edit at the size of a reference, resized once: uint8 [H,W,3]."""
        height, width = self.reference(against).pixels.shape[:2]
        if (height, width) not in self._fitted:
            self._fitted[height, width] = images.resize(self.made.pixels, height, width)
        return self._fitted[height, width]

    @cached_property
    def _fitted(self) -> dict[tuple[int, int], np.ndarray]:
        return {}


def ahead(
    edits: Iterable[dict], of: Sequence[Sample], embedders: Sequence, workers: int, file: object
) -> Iterator[tuple[dict, Sample, Seen | None]]:
    """(edit without its image, sample, its pictures or None where the edit failed), in the order of `edits`.

    of: the sample of each edit; file: where the edits are from, for errors. Up to `2 * workers` edits are decoded
    before their turn. Errors: MadiError for a picture that cannot be read, at its turn.
    """
    pool = ThreadPoolExecutor(workers, "madi-pictures")
    waiting: deque[tuple[dict, Sample, Future | None, Future | None]] = deque()
    references: OrderedDict[str, Future] = OrderedDict()
    try:
        for number, edit in enumerate(edits):
            sample, where = of[number], f"{file} row {number} column image"
            bare = {name: value for name, value in edit.items() if name != "image"}
            made = held = None
            if edit["status"] == "ok":
                seeing = [one for one in embedders if one.sees(sample)]
                made = pool.submit(_edit, edit, where, seeing)
                held = _once(references, sample, pool, seeing)
            waiting.append((bare, sample, made, held))
            if len(waiting) > 2 * workers:
                yield _ready(waiting.popleft())
        while waiting:
            yield _ready(waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _once(references: OrderedDict, sample: Sample, pool: ThreadPoolExecutor, seeing: list) -> Future:
    """The pictures that edits of a sample are held against, read once while they are kept."""
    key = f"{sample.file} {sample.number}"
    if key not in references:
        if sample.count:
            sample.row["sources"]  # its row group is read here, once: workers then find it in memory
        references[key] = pool.submit(_references, sample, seeing)
        if len(references) > KEPT:
            references.popitem(last=False)
    return references[key]


def _edit(edit: dict, where: str, seeing: list) -> Picture:
    return Picture(images.decode(image_of(edit, where), where), seeing)


def _references(sample: Sample, seeing: list) -> tuple[Picture | None, Picture | None]:
    if not sample.count:  # nothing is held against a text-to-image sample's target
        return None, None
    target = sample.target()
    return Picture(sample.source(), seeing), None if target is None else Picture(target, seeing)


def _ready(one: tuple[dict, Sample, Future | None, Future | None]) -> tuple[dict, Sample, Seen | None]:
    edit, sample, made, held = one
    return edit, sample, None if made is None else Seen(edit, sample, made.result(), *held.result())
