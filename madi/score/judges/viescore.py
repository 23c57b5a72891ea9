"""VIEScore for edits (arXiv 2312.14867): semantic consistency is the least of success and restraint, perceptual quality
the least of naturalness and freedom from artifacts, 0 to 10 each; overall is the root of their product. In our words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

from madi.chat.ask import Answer, Request, fenced, prompt_sha
from madi.samples import Sample
from madi.score import outcome
from madi.score.judges import oracle
from madi.score.judges.asking import Asking, Case, Item, mean, number_words
from madi.score.outcome import Outcome

NAME, CALLS = "viescore", 2
METRICS = ("vie_sc", "vie_pq", "vie_o")
Score = number_words(0, 10)
SYSTEM = "You judge pictures that models made. None of them shows a real person. Give scores from 0 to 10."
CONSISTENCY = """Picture 1 is the source, picture 2 its edit. What was asked for:
{instruction}
success: how well what was asked for was done (0: not at all, 10: perfectly). restraint: how little was changed
beyond it (0: another picture, 10: nothing that was not asked for). Write your reasons first."""
QUALITY = """naturalness: how natural the picture looks as a whole (0: not at all, 10: entirely). clean: how free it is
of distortions, blur, seams and broken things (0: full of them, 10: free of them). Write your reasons first."""


class Consistency(Answer):
    """Reasons, and two scores."""

    reasoning: str
    success: Score
    restraint: Score


class Quality(Answer):
    """Reasons, and two scores."""

    reasoning: str
    naturalness: Score
    clean: Score


def asks(sample: Sample, edit: dict) -> bool:
    return sample.count == 1


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """Two calls a rollout."""
    consistency = (Item("sc_success", "success", 10), Item("sc_restraint", "restraint", 10))
    quality = (Item("pq_naturalness", "naturalness", 10), Item("pq_clean", "clean", 10))
    sha = prompt_sha(SYSTEM, CONSISTENCY, QUALITY)
    for rollout in range(rollouts):
        if case.edit["status"] != "ok":
            gone = f"edit {case.edit['status']}"
            yield Asking(case.edit, NAME, rollout, "source,edit", sha, consistency, reason=gone)
            yield Asking(case.edit, NAME, rollout, "edit", sha, quality, reason=gone)
            continue
        words = CONSISTENCY.format(instruction=fenced(case.sample.row["instruction"]))
        both, named = (case.sources[0], case.made), case.named(NAME)
        request = Request(named, words, Consistency, both, SYSTEM, rollout, partial(told, case, Consistency))
        yield Asking(case.edit, NAME, rollout, "source,edit", sha, consistency, request)
        request = Request(named, QUALITY, Quality, both[1:], SYSTEM, rollout, partial(told, case, Quality))
        yield Asking(case.edit, NAME, rollout, "edit", sha, quality, request)


def told(case: Case, schema: type[Answer]) -> dict:
    """The oracle's answer; it knows one number for quality."""
    tags = {"success": "IF", "restraint": "IDP"} if schema is Consistency else {"naturalness": "PQ", "clean": "PQ"}
    scores = {name: str(oracle.answer(tag, 10, case.verdict)) for name, tag in tags.items()}
    return {"reasoning": "The scene's truth is known."} | scores


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    """Means over the rollouts in which all four were answered."""
    calls: dict[int, dict[str, float | None]] = {}
    for row in rows:
        calls.setdefault(row["rollout"], {})[row["question_id"]] = row["value"]
    whole = [values for values in calls.values() if len(values) == 4 and None not in values.values()]
    if not whole:
        reason = next((row["reason"] for row in rows if row["status"] == "missing"), "not asked")
        return {name: outcome.missing(reason) for name in METRICS}
    sc = [min(values["sc_success"], values["sc_restraint"]) for values in whole]
    pq = [min(values["pq_naturalness"], values["pq_clean"]) for values in whole]
    overall = [math.sqrt(one * other) for one, other in zip(sc, pq)]
    note = f"{len(calls) - len(whole)} of {len(calls)} rollouts missing" if len(whole) < len(calls) else None
    return {name: outcome.of(mean(found), note) for name, found in zip(METRICS, (sc, pq, overall))}
