"""What the scene's truth says of an edit: the oracle, the five questions, GenEval's rule, IDEA-Bench's items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from madi.samples import Sample
from madi.score import detect, geneval, idea, outcome, qa
from madi.score.judges import oracle
from madi.score.outcome import Outcome, key_of

ORACLE = {"oracle_if": "IF", "oracle_idp": "IDP", "oracle_pq": "PQ"}
QA = ("qa_if", "qa_idp", "qa_pq", "qa_mllm", "qa_mean3")


@dataclass(frozen=True)
class Judged:
    """Outcomes by metric, and the Answer rows behind the five-question ones."""

    outcomes: dict[str, Outcome]
    answers: list[dict]


def metrics(sample: Sample, asks: bool) -> list[str]:
    """What the truth can say of edits of a sample. asks: whether its benchmark has questions."""
    spec = sample.spec()
    if not sample.count:
        return ["geneval_correct"] * ("geneval" in spec)
    if "ops" not in spec:
        return []
    return [*ORACLE, *(QA if asks else ()), *(["idea_success"] if "items" in spec else [])]


def judge(edit: dict, sample: Sample, image: np.ndarray, questions: list[dict] | None) -> Judged:
    """All of `metrics` for one edit, image uint8 [H,W,3]. questions: the sample's Question rows, None: never asked."""
    names = metrics(sample, questions is not None)
    if not names:
        return Judged({}, [])
    if not sample.count:
        return Judged({"geneval_correct": _geneval(sample.spec()["geneval"], image)}, [])
    verdict = _verdict(sample.spec(), image)
    found = {name: outcome.of(getattr(verdict, oracle.SCORES[tag])) for name, tag in ORACLE.items()}
    answers = [answer(edit, q, oracle.answer(q["tag"], q["max_key"], verdict)) for q in questions or ()]
    if questions is not None:
        found |= five(questions, answers)
    if "idea_success" in names:
        found["idea_success"] = outcome.of(float(idea.success(oracle.items(sample.spec()["items"], verdict))))
    return Judged(found, answers)


def five(questions: list[dict], answers: list[dict]) -> dict[str, Outcome]:
    """qa_* of one edit from its answers; missing where nothing was asked or answered, excluded if undecided."""
    if not questions:
        return {name: outcome.missing("the sample has no questions") for name in QA}
    values = [(q["tag"], a["value"]) for q, a in zip(questions, answers, strict=True)]
    return {
        name: outcome.of(value, None if value is not None else "undecided")
        for name, value in qa.aggregate(values).items()
    }


def answer(edit: dict, question: dict, key: int | None, reason: str | None = None) -> dict:
    """The Answer row of one question. key: None (with the reason) where there is no edit to ask about."""
    status = "missing" if key is None else "undecided" if key == -1 else "ok"
    return key_of(edit) | {
        "protocol": "five_questions",
        "question_id": question["question_id"],
        "rollout": 0,
        "judge": oracle.NAME,
        "revision": oracle.REVISION,
        "temperature": 0.0,
        "order": "source,edit",
        "prompt_sha": question["prompt_sha"],
        "key": key,
        "value": None if key is None else qa.scale(key, question["max_key"]),
        "status": status,
        "reason": reason,
        "raw": "" if key is None else str(key),
        "tokens_in": 0,
        "tokens_out": 0,
        "cost": 0.0,
    }


def _verdict(spec: dict, image: np.ndarray):
    from madi.scenes.truth import judge as verdict
    from madi.scenes.world import Scene

    return verdict([Scene.from_dict(scene) for scene in spec["sources"]], spec["ops"], image)


def _geneval(rule: dict, image: np.ndarray) -> Outcome:
    from madi.scenes.parse import read

    found = geneval.keep(detect.detections(read(image).scene, image.shape[0]), rule["tag"])
    correct, reason = geneval.evaluate(rule, found)
    return outcome.of(float(correct), reason or None)
