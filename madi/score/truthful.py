"""What the scene's truth says of an edit: the oracle's three numbers."""

from __future__ import annotations

import numpy as np

from madi.samples import Sample
from madi.score import outcome
from madi.score.judges import oracle, truth
from madi.score.outcome import Outcome
from madi.score.pictures import Seen
from madi.score.rows import Answers

ORACLE = {"oracle_if": "IF", "oracle_idp": "IDP", "oracle_pq": "PQ"}


class Truth:
    """The oracle in its own numbers. answers: a judge job's, where the oracle was already asked."""

    kind, lacks, suffix = "truth", None, ""

    def __init__(self, answers: Answers):
        self.answers = answers
        self.last: tuple[str, dict[str, float]] = "", {}

    def backend(self, metric) -> str:
        return oracle.NAME

    def wants(self, metric, edit: dict, sample: Sample) -> bool:
        return sample.count > 0 and sample.of_scenes

    def measure(self, name: str, seen: Seen) -> Outcome:
        """One of the three, 0 to 10."""
        edit = seen.edit["edit_id"]
        if self.last[0] != edit:  # the picture is read once for all three
            self.last = edit, truth.numbers(self.answers.get((edit, truth.NAME), [])) or verdict(seen)
        return outcome.of(self.last[1][ORACLE[name]])


def verdict(seen: Seen) -> dict[str, float]:
    """The oracle's numbers by tag."""
    found = judge(seen.sample.spec(), seen.made.pixels)
    return {tag: float(getattr(found, name)) for tag, name in oracle.SCORES.items()}


def judge(spec: dict, image: np.ndarray):
    """What the truth of a scene says of an image uint8 [H,W,3]."""
    from madi.scenes.truth import judge as held
    from madi.scenes.world import Scene

    return held([Scene.from_dict(scene) for scene in spec["sources"]], spec["ops"], image)
