"""A control for scaling: one and the same edit judged as often as scaling judges candidates, and the best kept.

What it gains over a single judgement is the judge's own wavering, no better edit: a gain of scaling that is no larger
says nothing of pauses. Asked about edits without a pause at the first seed alone; a judge that never wavers, as the
scene oracle, gains nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from madi.samples import Sample
from madi.score import outcome
from madi.score.judges import five
from madi.score.judges.asking import Asking, Case
from madi.score.outcome import Outcome

TIMES = 4  # pause counts that the paper's scaling chooses among: 0, 8, 16, 32
NAME, CALLS = "five_again", TIMES
METRICS = ("qa_best_if", "qa_best_idp", "qa_best_mllm")


def asks(sample: Sample, edit: dict) -> bool:
    return five.asks(sample, edit) and edit["pause"] == 0 and edit["seed"] == 0


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """The five questions, `TIMES` a rollout; what was answered of them before is not asked again."""
    return (replace(asking, protocol=NAME) for asking in five.askings(case, rollouts * TIMES))


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    """IF, IDP and their mean in the judgement whose mean is the highest; the first such where several are.

    A judgement is of as many rollouts as one of scaling's candidates gets: of `TIMES` judgements the best is kept.
    """
    rollouts = max((row["rollout"] for row in rows), default=-1) + 1
    each = max(1, rollouts // TIMES)
    judgements: dict[int, list[dict]] = defaultdict(list)
    for row in rows:
        judgements[row["rollout"] // each].append(row)
    found = [five.scores(judgements[number], questions) for number in sorted(judgements)]
    whole = [one for one in found if one["qa_mllm"].status == "ok"]
    if not whole:
        why = found[0]["qa_mllm"] if found else outcome.missing("the sample has no questions")
        return {name: why for name in METRICS}
    best = max(whole, key=lambda one: one["qa_mllm"].value)
    note = f"{len(found) - len(whole)} of {len(found)} judgements missing" if len(whole) < len(found) else None
    return {name: outcome.of(best[part].value, note) for name, part in zip(METRICS, ("qa_if", "qa_idp", "qa_mllm"))}
