"""`madi bench score`: the similarities of many edits, each picture and caption embedded once and in batches, against a
loop that makes the official scripts' forwards: every metric embeds both its images, one at a time.

The two gains are seen apart as well: `batching` is the same work one picture at a time, `dedup` the same batches with
every picture and caption embedded as often as it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import torch

from madi import images
from madi.bench.clock import Row, by_turns, hold
from madi.samples import Sample
from madi.score import metrics
from madi.score.embed import cosine, direction
from madi.score.pictures import Picture, Seen
from madi.score.similar import Embedder

BATCH, SIDE = 16, 128  # pictures at once; px
METRICS = (("clip_i", "source"), ("clip_t", "global_caption"), ("clip_dir", "source"), ("dino", "source"))
APART = 1e-5


def measure(sources: int, edits: int, clip: Path, dino: Path, threads: int, repeats: int) -> list[Row]:
    """Rows `embed`, `batching` and `dedup`. Errors: MadiError where values differ by more than 1e-5."""
    from madi.score.clip import Clip
    from madi.score.dino import Dino

    torch.set_num_threads(threads)
    towers = Clip(clip), Dino(dino)
    work = [case(number, edits) for number in range(sources)]
    others: list[tuple[str, str, Callable]] = [
        ("embed", "a loop of the official forwards", lambda: one_by_one(*towers, work)),
        ("batching", "the same, one picture at a time", lambda: ours(Embedder, towers, 1, work)),
        ("dedup", "the same batches, nothing remembered", lambda: ours(Forgetful, towers, BATCH, work)),
    ]
    rows = []
    for name, other, theirs in others:
        timed = by_turns(lambda: ours(Embedder, towers, BATCH, work), theirs, repeats, torch.device("cpu"))
        rows.append(Row(name, other, *timed, tokens=sources * edits))
    hold(rows, APART)
    return rows


def case(number: int, edits: int) -> tuple[Sample, np.ndarray, list[np.ndarray]]:
    """A sample, its source and edits of it, all noise on a smooth ground."""
    rng = np.random.default_rng(number)
    source = images.resize(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8), SIDE, SIDE)
    noise = (rng.integers(-40, 40, source.shape) for _ in range(edits))
    made = [(source.astype(int) + one).clip(0, 255).astype(np.uint8) for one in noise]
    row = {"sources": [{}], "target": None, "target_caption_local": None, "instruction": "edit"}
    row |= {"source_caption": f"a field {number}", "target_caption": f"a field with {number} stars"}
    return Sample(row, "bench", number), source, made


def ours(kind: type, towers: tuple, batch: int, work: list) -> torch.Tensor:
    """All values, [edits, metrics]."""
    embedders = [kind(name, tower, batch) for name, tower in zip(("clip", "dino"), towers)]
    table = {(one.name, against): one for one in metrics.TABLE for against in one.against}
    scorers = {one.kind: one for one in embedders}
    later = []
    for sample, source, made in work:
        shown = Picture(source, embedders)
        for one in made:
            seen = Seen({}, sample, Picture(one, embedders), shown, None)
            later.append([table[m].measure(scorers[table[m].scorer], seen, m[1]) for m in METRICS])
    return torch.tensor([[outcome().value for outcome in row] for row in later])


class Forgetful(Embedder):
    """Embeds a picture anew whenever it is asked for."""

    def __init__(self, *args):
        super().__init__(*args)
        self.numbers = count()

    def see(self, picture: Picture) -> str:
        return self.pictures.add(f"{next(self.numbers)}", lambda: picture.prepared[self.name])


def one_by_one(clip, dino, work: list) -> torch.Tensor:
    """All values, [edits, metrics]; each metric embeds what it needs."""
    rows = []
    for sample, source, made in work:
        before, after = sample.row["source_caption"], sample.row["target_caption"]
        for one in made:

            def see(tower, image):
                return tower.images([tower.prepare(image)])[0]

            def say(words):
                return clip.texts([words])[0]

            towards = direction(see(clip, source), see(clip, one), say(before), say(after))[0]
            values = [cosine(see(clip, one), see(clip, source)), cosine(see(clip, one), say(after)), towards]
            rows.append([*values, cosine(see(dino, one), see(dino, source))])
    return torch.tensor(rows)
