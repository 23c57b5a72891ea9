"""Reference editors: floor and ceiling of every table. They look at the truth, or do nothing at all."""

from __future__ import annotations

from collections.abc import Sequence

from madi.edit.work import Result, Work
from madi.omnigen.sizes import fitted
from madi.samples import Sample

NO_MODEL = {"sampler_steps": 0, "guidance_text": 0.0, "guidance_image": 0.0}


class Copy:
    """Gives the source back (the first one), unedited."""

    def __init__(self, config_sha: str):
        self.facts = NO_MODEL | {"config_sha": config_sha}

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [Result(w.sample.source()) if w.sample.count else Result(None, "no source to copy") for w in works]


class Truth:
    """Gives the sample's own target."""

    def __init__(self, config_sha: str):
        self.facts = NO_MODEL | {"config_sha": config_sha}

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [_given(w.sample) for w in works]


class OtherTruth:
    """Gives another sample's target: a good picture of the wrong thing."""

    def __init__(self, config_sha: str, benchmarks: dict[str, dict[str, Sample]]):
        self.facts = NO_MODEL | {"config_sha": config_sha}
        self.others = {name: others(samples) for name, samples in benchmarks.items()}

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(work) for work in works]

    def _one(self, work: Work) -> Result:
        other = self.others[work.benchmark][work.sample.id]
        return Result(None, "no other sample with a target") if other is None else _given(other)


class TruthThroughVae:
    """Gives the target after a trip through the model's VAE: the best that any edit by that model can look.

    max_side: longest side in px, as of the model's own edits.
    """

    def __init__(self, config_sha: str, codec, weights_sha: str, max_side: int):
        self.max_side = max_side
        self.facts = NO_MODEL | {"config_sha": config_sha, "weights_sha": weights_sha}
        self.codec = codec

    def edit(self, works: Sequence[Work]) -> list[Result]:
        return [self._one(_given(work.sample)) for work in works]

    def _one(self, given: Result) -> Result:
        if given.image is None:
            return given
        return Result(self.codec.decode(self.codec.encode(fitted(given.image, self.max_side)[None]))[0])


def others(samples: dict[str, Sample]) -> dict[str, Sample | None]:
    """For each sample the next one, in the file's order and round its end, of another group that has a target.

    Another group, since turns of a session and levels of a compound share most of what a picture shows.
    """
    ring = list(samples.values())
    found = {}
    for i, sample in enumerate(ring):
        rest = ring[i + 1 :] + ring[:i]
        fit = (o for o in rest if o.row["group_id"] != sample.row["group_id"] and o.row["target"])
        found[sample.id] = next(fit, None)
    return found


def _given(sample: Sample) -> Result:
    target = sample.target()
    return Result(target) if target is not None else Result(None, "the sample has no target")
