"""What the scene oracle says of an edit in its own numbers, beside the questions that it answers in a judge's place.

To read a picture is what costs: kept among the answers, the verdict is there when the scores are made of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from madi.chat.ask import Answer, Request, prompt_sha
from madi.samples import Sample
from madi.score.judges import oracle
from madi.score.judges.asking import Asking, Case, Item
from madi.score.outcome import Outcome

NAME, CALLS = "truth", 1
METRICS = ()  # its numbers are the truth's, not the judge's: see `madi.score.truthful`
ITEMS = tuple(Item(tag, name, 10, real=True) for tag, name in oracle.SCORES.items())


class Verdict(Answer):
    """0 to 10 each."""

    instruction_following: float
    identity_preservation: float
    perceptual_quality: float


def asks(sample: Sample, edit: dict) -> bool:
    return sample.count > 0 and "ops" in sample.spec()


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """One, of an edit that stands."""
    if case.edit["status"] == "ok":
        request = Request(case.named(NAME), case.edit["edit_id"], Verdict, truth=partial(told, case))
        yield Asking(case.edit, NAME, 0, "source,edit", prompt_sha(NAME), ITEMS, request)


def told(case: Case) -> dict:
    return {name: float(getattr(case.verdict, name)) for name in oracle.SCORES.values()}


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    return {}


def numbers(rows: list[dict]) -> dict[str, float]:
    """The verdict by tag; empty where none was given."""
    return {row["question_id"]: row["value"] for row in rows if row["status"] == "ok"}
