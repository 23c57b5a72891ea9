"""IDEA-Bench's six yes/no items a case, in three levels of two (arXiv 2412.11767), all in one call, with what 0 and 1
points stand for where the case says it. Sources and edit are sent as pictures of their own.

`idea_bench_official` asks as the authors' scripts do: six calls, three times each.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

from pydantic import create_model

from madi.chat.ask import Answer, Request, fenced, prompt_sha
from madi.samples import Sample
from madi.score import idea, outcome
from madi.score.judges import oracle
from madi.score.judges.asking import Asking, Case, Item
from madi.score.judges.five import order
from madi.score.outcome import Outcome

NAME, CALLS = "idea_bench", 1
METRICS = ("idea_score", "idea_success")
SYSTEM = "You judge pictures that were made to an order by answering yes or no, strictly, by what you see."
ASK = """{sources}the last picture was made to this order:
{instruction}
Answer each question with 1 for yes or 0 for no. Where a question says what 0 and 1 stand for, go by that.
{questions}"""
Items = create_model("Items", __base__=Answer, **{f"item_{n}": (Literal["0", "1"], ...) for n in range(1, 7)})


def asks(sample: Sample, edit: dict) -> bool:
    return bool(items_of(sample))


def items_of(sample: Sample) -> list[dict]:
    """The six items, lowest level first: the case's own, or those of its automatic questions."""
    spec = sample.spec()
    items = sorted(spec.get("items") or (), key=lambda item: item["level"])
    return items if items and all("question" in item for item in items) else list(spec.get("prompts") or ())


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """One call a rollout."""
    asked = items_of(case.sample)
    items = tuple(Item(f"item_{n}", f"item_{n}", 1) for n in range(1, idea.ITEMS + 1))
    told = {"order": order(case), "prompt_sha": prompt_sha(SYSTEM, ASK), "items": items}
    gone = f"edit {case.edit['status']}" if case.edit["status"] != "ok" else None
    if len(asked) != idea.ITEMS:
        gone = gone or f"the case has {len(asked)} items, not {idea.ITEMS}"
    for rollout in range(rollouts):
        if gone:
            yield Asking(case.edit, NAME, rollout, **told, reason=gone)
            continue
        count = case.sample.count
        given = f"Pictures 1 to {count} were given; " if count > 1 else "Picture 1 was given; " if count else ""
        listed = "\n".join(f"item_{n}:\n{fenced(lines(item))}" for n, item in enumerate(asked, 1))
        words = ASK.format(sources=given, instruction=fenced(case.sample.row["instruction"]), questions=listed)
        shown = (*case.sources, case.made)
        request = Request(case.named(NAME), words, Items, shown, SYSTEM, rollout, partial(truth, case, asked))
        yield Asking(case.edit, NAME, rollout, **told, request=request)


def lines(item: dict) -> str:
    """A question, and what each answer stands for, a line each."""
    standards = (f"{points}: {text}" for points, text in enumerate(item.get("standards", ())))
    return "\n".join([str(item["question"]), *standards])


def truth(case: Case, asked: list[dict]) -> dict:
    """The oracle's answers."""
    return {f"item_{n}": str(int(yes)) for n, yes in enumerate(oracle.items(asked, case.verdict), 1)}


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    """The cascade's mean over the rollouts that were answered (0..1), and whether it reaches a half."""
    score = cascaded(rows)
    if score.value is None:
        return dict.fromkeys(METRICS, score)
    success = outcome.of(float(score.value >= idea.SUCCESS), score.reason)
    return {"idea_score": score, "idea_success": success}


def cascaded(rows: list[dict]) -> Outcome:
    """The mean of the cascade over the rollouts whose six items were all answered; missing where there is none."""
    calls: dict[int, list[dict]] = {}
    for row in rows:
        calls.setdefault(row["rollout"], []).append(row)
    whole = [sorted(some, key=lambda row: row["question_id"]) for some in calls.values() if _answered(some)]
    if not whole:
        return outcome.missing(next((row["reason"] for row in rows if row["status"] == "missing"), "not asked"))
    score = sum(idea.cascade([row["key"] == 1 for row in some]) for some in whole) / len(whole)
    return outcome.of(
        score, f"{len(calls) - len(whole)} of {len(calls)} rollouts missing" if len(whole) < len(calls) else None
    )


def _answered(rows: list[dict]) -> bool:
    return len(rows) == idea.ITEMS and all(row["status"] == "ok" for row in rows)
