"""Every metric: what makes it, what it is held against, and how it is measured. A new metric is one row of `TABLE`.

The score job computes the rows that apply to a sample, lists the same rows as missing for an edit that failed, and
`madi config check` holds the declared tables to them.

Measuring takes two steps. `measure(scorer, seen, against)` is called while the edit's pixels are in memory; it returns
a function that gives the outcome once all embeddings of the job exist. That function must hold no pixels: thousands of
edits wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from madi.samples import Sample
from madi.score import outcome, pixels
from madi.score.embed import cosine, direction
from madi.score.judge import PROTOCOLS
from madi.score.outcome import Outcome
from madi.score.pictures import Seen
from madi.score.similar import captions

Later = Callable[[], Outcome]

# What an edit can be held against, and which samples have it. An embedding metric against a caption that is absent is
# excluded with its reason; a local caption is rare, and asked for only where there is one.
REFERENCES: dict[str, Callable[[Sample], bool]] = {
    "source": lambda sample: sample.count > 0,
    "target": lambda sample: sample.count > 0 and sample.row["target"] is not None,
    "global_caption": lambda sample: True,
    "local_caption": lambda sample: "local_caption" in captions(sample),
    "truth": lambda sample: True,
    "judge": lambda sample: True,
}


@dataclass(frozen=True)
class Metric:
    """scorer: the kind of scorer that makes it (clip, dino, pixels, truth, geneval, judge); against: names in
    `REFERENCES`; protocol: of a judge."""

    name: str
    scorer: str
    against: tuple[str, ...]
    measure: Callable[[Any, Seen, str], Later]
    protocol: str | None = None


def similarity(scorer, seen: Seen, against: str) -> Later:
    """Cosine of the embeddings of the edit and of a picture."""
    edit, other = scorer.see(seen.made), scorer.see(seen.reference(against))
    return lambda: outcome.of(cosine(scorer.picture(edit), scorer.picture(other)))


def text_similarity(scorer, seen: Seen, against: str) -> Later:
    """Cosine of the embeddings of the edit and of a caption."""
    caption, edit = captions(seen.sample).get(against), scorer.see(seen.made)
    if not caption:
        return lambda: outcome.of(None, "no caption")
    scorer.read(caption)
    return lambda: outcome.of(cosine(scorer.picture(edit), scorer.text(caption)))


def direction_similarity(scorer, seen: Seen, against: str) -> Later:
    """CLIP-Dir: see `madi.score.embed.direction`."""
    words = captions(seen.sample)
    before, after = words.get("source_caption"), words.get("global_caption")
    if not before or not after:
        return lambda: outcome.of(None, "no caption")
    if before.split() == after.split():
        return lambda: outcome.of(None, "identical captions")
    source, edit = scorer.see(seen.source), scorer.see(seen.made)
    scorer.read(before), scorer.read(after)
    return lambda: outcome.of(
        *direction(scorer.picture(source), scorer.picture(edit), scorer.text(before), scorer.text(after))
    )


def pixelwise(distance: Callable[[np.ndarray, np.ndarray], float]):
    """A metric of two pictures uint8 [H,W,3] of one size: the edit is resized to the reference."""

    def measure(scorer, seen: Seen, against: str) -> Later:
        value = outcome.of(distance(seen.fitted(against), seen.reference(against).pixels))
        return lambda: value

    return measure


def asked(scorer, seen: Seen, against: str, name: str) -> Later:
    value = scorer.measure(name, seen)
    return lambda: value


def by_scorer(name: str):
    """A metric whose scorer has its own rule."""
    return lambda scorer, seen, against: asked(scorer, seen, against, name)


PICTURES, CAPTIONS = ("source", "target"), ("global_caption", "local_caption")
TABLE = (
    Metric("clip_i", "clip", PICTURES, similarity),
    Metric("clip_t", "clip", CAPTIONS, text_similarity),
    Metric("clip_dir", "clip", ("source",), direction_similarity),
    Metric("dino", "dino", PICTURES, similarity),
    Metric("l1", "pixels", PICTURES, pixelwise(pixels.l1)),
    Metric("l2", "pixels", PICTURES, pixelwise(pixels.l2)),
    Metric("oracle_if", "truth", ("truth",), by_scorer("oracle_if")),
    Metric("oracle_idp", "truth", ("truth",), by_scorer("oracle_idp")),
    Metric("oracle_pq", "truth", ("truth",), by_scorer("oracle_pq")),
    Metric("geneval_correct", "geneval", ("truth",), by_scorer("geneval_correct")),
    *(
        Metric(name, "judge", ("judge",), by_scorer(name), protocol.NAME)
        for protocol in PROTOCOLS.values()
        for name in protocol.METRICS
    ),
)
BY_SCORER = {kind: [one for one in TABLE if one.scorer == kind] for kind in dict.fromkeys(m.scorer for m in TABLE)}


def wanted(edit: dict, sample: Sample, scorers: Iterable) -> Iterator[tuple[Metric, Any, str]]:
    """(metric, scorer, against) of every number that an edit of a sample gets, whether it stands or failed."""
    for scorer in scorers:
        for metric in BY_SCORER[scorer.kind]:
            for against in metric.against:
                if REFERENCES[against](sample) and scorer.wants(metric, edit, sample):
                    yield metric, scorer, against


def names(more: dict[str, str]) -> set[str]:
    """Every `metric/against` that a job can make. more: the kind (clip or dino) of each further model by its name."""
    plain = {f"{one.name}/{against}" for one in TABLE for against in one.against}
    return plain | {
        f"{one.name}_{name}/{against}"
        for name, kind in more.items()
        for one in BY_SCORER[kind]
        for against in one.against
    }
