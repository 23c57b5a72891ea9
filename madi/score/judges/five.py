"""The paper's judge (its section 8, Figure 16): five frozen multiple-choice questions an edit, answered in one call.

Source and edit are shown, since nobody can tell what was kept who has not seen what there was.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache, partial

from pydantic import create_model

from madi.chat.ask import Answer, Request, fenced, prompt_sha
from madi.samples import Sample
from madi.score import outcome, qa
from madi.score.judges import oracle
from madi.score.judges.asking import Asking, Case, Item, number_words
from madi.score.outcome import Outcome

NAME, CALLS = "five_questions", 1
METRICS = ("qa_if", "qa_idp", "qa_pq", "qa_mllm", "qa_mean3")
SYSTEM = "You judge edits of pictures by answering questions about what you see, strictly and without favour."
ASK = """{sources}; the last picture is an edit of {them}. What was asked for:
{instruction}
Answer each question below with the number of the answer that fits best what the pictures show. Answer -1 only where the
pictures cannot tell.
{questions}"""


def asks(sample: Sample, edit: dict) -> bool:
    return sample.count > 0


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """One call a rollout; none where the sample has no questions."""
    if not case.questions:
        return
    items = tuple(
        Item(question["question_id"], f"q{number}", question["max_key"], scaled=True)
        for number, question in enumerate(case.questions, 1)
    )
    schema = schema_of(tuple(item.most for item in items))
    for rollout in range(rollouts):
        truth = partial(told, case)
        named = case.named(NAME)
        if case.edit["status"] == "ok":
            shown = (*case.sources, case.made)
            request = Request(named, prompt(case), schema, shown, SYSTEM, rollout, truth)
            yield Asking(case.edit, NAME, rollout, order(case), prompt_sha(SYSTEM, ASK), items, request)
        else:
            gone = f"edit {case.edit['status']}"
            yield Asking(case.edit, NAME, rollout, order(case), prompt_sha(SYSTEM, ASK), items, reason=gone)


def order(case: Case) -> str:
    """Which pictures are shown, in their order."""
    return ",".join(["source"] * case.sample.count + ["edit"])


@lru_cache
def schema_of(most: tuple[int, ...]) -> type[Answer]:
    """An answer's number for each question, by its `max_key`."""
    fields = {f"q{number}": (number_words(-1, high), ...) for number, high in enumerate(most, 1)}
    return create_model("Answers", __base__=Answer, **fields)


def prompt(case: Case) -> str:
    count = case.sample.count
    words = {"sources": "Picture 1 is the source", "them": "it"}
    if count > 1:
        words = {"sources": f"Pictures 1 to {count} are the sources", "them": "the first"}
    asked = "\n".join(f"q{number}:\n{fenced(lines(question))}" for number, question in enumerate(case.questions, 1))
    return ASK.format(instruction=fenced(case.sample.row["instruction"]), questions=asked, **words)


def lines(question: dict) -> str:
    """A question and its answers, a line each."""
    return "\n".join([question["text"], *(f"{option['key']}: {option['text']}" for option in question["options"])])


def told(case: Case) -> dict:
    """The oracle's answers."""
    found = ((q["tag"], q["max_key"]) for q in case.questions)
    return {f"q{n}": str(oracle.answer(tag, most, case.verdict)) for n, (tag, most) in enumerate(found, 1)}


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    """qa_* of one edit from its answers: missing where nothing was asked or answered, or something else than the
    sample's questions; excluded where undecided.

    Over rollouts, a question's value is the mean of those that were answered.
    """
    if not rows:
        return {name: outcome.missing("the sample has no questions") for name in METRICS}
    tags = {question["question_id"]: question["tag"] for question in questions}
    if lacking := [tag for tag in qa.TAGS if tag not in tags.values()]:
        return {name: outcome.missing(f"the sample has no question of {lacking[0]}") for name in METRICS}
    if {row["question_id"] for row in rows} != set(tags):
        return {name: outcome.missing("other questions were answered than the sample's") for name in METRICS}
    there = [row for row in rows if row["status"] != "missing"]
    if not there:
        return {name: outcome.missing(rows[0]["reason"]) for name in METRICS}
    values: dict[str, list[float]] = {}
    for row in there:
        values.setdefault(row["question_id"], []).extend([] if row["value"] is None else [row["value"]])
    pairs = [(tags[name], sum(some) / len(some) if some else None) for name, some in values.items()]
    found = qa.aggregate(pairs)
    return {name: outcome.of(value, None if value is not None else "undecided") for name, value in found.items()}
