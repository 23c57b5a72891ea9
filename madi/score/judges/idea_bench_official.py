"""IDEA-Bench's own protocol: each of a case's six prompts (`auto_eval.jsonl`) is a call of its own about one stitched
picture, three times each; a case's score is the mean of the three cascades.

Two things differ from the authors' scripts: the stitched picture is sent as a picture, where they send its base64 text
as words, and the prompt is quoted as data. `madi.tables` makes their aggregate of the scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from madi import images
from madi.chat.ask import Answer, Request, fenced, prompt_sha
from madi.chat.pictures import shown
from madi.samples import Sample
from madi.score import idea
from madi.score.judges import stitch
from madi.score.judges.asking import Asking, Case, Item
from madi.score.judges.idea_bench import cascaded
from madi.score.outcome import Outcome

TIMES = 3  # calls of each prompt
NAME, CALLS = "idea_bench_official", TIMES * idea.ITEMS
METRICS = ("idea_official",)
SYSTEM = "You judge pictures that were made to an order, strictly, by what you see."
ASK = """Answer the question below about the picture. score: 0 or 1, as the question says.
{question}"""
MADE = "0001"  # the one picture that an edit has, by the name of its place
COUNTED = "Is the number in the image the digit"  # asked about a picture of how many pictures were made


class Scored(Answer):
    """A reason, and 0 or 1."""

    reason: str
    score: Literal["0", "1"]


def asks(sample: Sample, edit: dict) -> bool:
    return bool(sample.spec().get("prompts"))


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """Eighteen calls a rollout: six prompts, three times each."""
    prompts, sha = case.sample.spec()["prompts"], prompt_sha(SYSTEM, ASK)
    gone = reason_of(case, prompts)
    pictures = {} if gone else {n: stitched_jpeg(case, prompt) for n, prompt in enumerate(prompts)}
    for call in range(TIMES * rollouts):
        for number in range(idea.ITEMS):
            told = {"order": "stitched", "prompt_sha": sha, "items": (Item(f"item_{number + 1}", "score", 1),)}
            if gone:
                yield Asking(case.edit, NAME, call, **told, reason=gone)
                continue
            words = ASK.format(question=fenced(prompts[number]["question"]))
            request = Request(case.named(NAME), words, Scored, (pictures[number],), SYSTEM, call)
            yield Asking(case.edit, NAME, call, **told, request=request)


def reason_of(case: Case, prompts: list[dict]) -> str | None:
    """Why a case cannot be asked about; None where it can."""
    if case.edit["status"] != "ok":
        return f"edit {case.edit['status']}"
    if len(prompts) != idea.ITEMS:
        return f"the case has {len(prompts)} prompts, not {idea.ITEMS}"
    if any(MADE not in prompt["output_images"] for prompt in prompts):
        return "a prompt is about other pictures than the first that is made"
    return None


def stitched_jpeg(case: Case, prompt: dict) -> bytes:
    """The picture that a prompt is about, as JPEG: the given pictures it names above the edit, or, where it asks how
    many pictures were made, that number."""
    if COUNTED in prompt["question"]:
        return stitch.jpeg(stitch.digits(1))
    names = case.sample.spec().get("pictures", [])
    given = [case.sample.source(names.index(name)) for name in prompt["input_images"] if name in names]
    made: np.ndarray = images.decode(case.image, case.where)
    return shown(stitch.jpeg(stitch.stitched(given, [made])), case.where)


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    """The mean of the cascade over the calls that were answered whole, 0..1."""
    return {"idea_official": cascaded(rows)}
