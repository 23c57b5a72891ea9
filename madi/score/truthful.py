"""What the scene's truth says of an edit: the oracle's three numbers."""

from __future__ import annotations

import numpy as np

from madi.samples import Sample
from madi.score import outcome
from madi.score.judges import oracle
from madi.score.outcome import Outcome

ORACLE = {"oracle_if": "IF", "oracle_idp": "IDP", "oracle_pq": "PQ"}


def metrics(sample: Sample) -> list[str]:
    """What the truth can say of edits of a sample."""
    spec = sample.spec()
    if not sample.count:
        return ["geneval_correct"] * ("geneval" in spec)
    return [*ORACLE] if "ops" in spec else []


def judge(sample: Sample, image: np.ndarray, told: dict[str, float]) -> dict[str, Outcome]:
    """What the oracle says of one edit, image uint8 [H,W,3]; nothing of text-to-image. told: its numbers by tag, where
    it was asked already."""
    if not sample.count or not metrics(sample):
        return {}
    if told:
        return {name: outcome.of(told[tag]) for name, tag in ORACLE.items()}
    verdict = _verdict(sample.spec(), image)
    return {name: outcome.of(getattr(verdict, oracle.SCORES[tag])) for name, tag in ORACLE.items()}


def _verdict(spec: dict, image: np.ndarray):
    from madi.scenes.truth import judge as verdict
    from madi.scenes.world import Scene

    return verdict([Scene.from_dict(scene) for scene in spec["sources"]], spec["ops"], image)
