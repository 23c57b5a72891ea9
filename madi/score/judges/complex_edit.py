"""Complex-Edit's own judge (arXiv 2504.13143): instruction following and identity preservation of source and edit with
reasons, perceptual quality of the edit alone without them, 0 to 10 each, the mean of several rollouts.

The rubric and its exceptions are in our words. Its authors take 20 rollouts at temperature 1 (`score.rollouts_of`,
`score.temperature_of`), five to a call; here each rollout is a call. Three faults of the official script are not
repeated: its overall file holds the quality scores, its per-sample results may change places, and it calls PNG
pictures JPEG.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from madi.chat.ask import Answer, Request, fenced, prompt_sha
from madi.samples import Sample
from madi.score import outcome
from madi.score.judges import oracle
from madi.score.judges.asking import Asking, Case, Item, mean, number_words
from madi.score.outcome import Outcome

NAME, CALLS = "complex_edit", 2
METRICS = ("ce_if", "ce_idp", "ce_pq", "ce_overall")
Score = number_words(0, 10)

ALIGNMENT_SYSTEM = """You judge edits of pictures. You see a source, its edit, and what was asked for, and give two
whole scores from 0 to 10 that do not depend on each other: a low one never lowers the other.
instruction_following: how far the changes that were asked for can be seen, whatever else was changed. 10: all of
them, as asked. 9: all, but for a trifle that hardly shows, such as a spot in the old colour. 7 to 8: most, with small
slips that leave the purpose intact. 5 to 6: an attempt with clear mistakes, such as the right thing in a wrong shape.
3 to 4: most is absent, wrong or barely suggested. 1 to 2: so little that the purpose is missed. 0: nothing.
identity_preservation: how far what was not to change is as it was, whether or not what was asked for was done. Go by
the key elements, which make the picture this one (people and their faces, animals, things, the place), not by single
pixels. 10: all of them are as they were. 9: as they were, but for a trifle that hardly shows. 7 to 8: small details
differ, and it is plainly the same. 5 to 6: recognisable, with clear distortions. 3 to 4: a general likeness, with
large unasked changes. 1 to 2: most of them are replaced or changed, with faint traces left. 0: nothing is left of
them.
An edit that equals its source has instruction_following 0 and identity_preservation 10. A picture that has nothing to
do with its source has identity_preservation 0, unless a whole new picture was asked for; its instruction_following is
what can be seen all the same. Where several things were asked for, score instruction_following for each and give the
mean. Write your reasons first, then the scores."""
ALIGNMENT = "Picture 1 is the source, picture 2 its edit. What was asked for:\n{instruction}"
QUALITY_SYSTEM = """You judge the quality of pictures that models made, from 0 to 10: whether light and shadows agree,
whether every element belongs in the scene, whether edges are clean and nothing looks pasted in, and whether the whole
is pleasing and the eye is led through it undisturbed. 10: flawless and natural. 9: one trifle that hardly shows. 7 to
8: small flaws that leave the harmony intact. 5 to 6: flaws that are seen at once. 3 to 4: prominent ones, such as a
distorted face or animal. 1 to 2: the whole scene is distorted and hard to recognise. 0: no sense at all."""
QUALITY = "How good is this picture?"


class Alignment(Answer):
    """Reasons, and two scores."""

    reasoning: str
    instruction_following: Score
    identity_preservation: Score


class Quality(Answer):
    """One score."""

    perceptual_quality: Score


def asks(sample: Sample, edit: dict) -> bool:
    return sample.count == 1


def askings(case: Case, rollouts: int) -> Iterator[Asking]:
    """Two calls a rollout."""
    alignment = (Item("alignment_if", "instruction_following", 10), Item("alignment_idp", "identity_preservation", 10))
    quality = (Item("quality_pq", "perceptual_quality", 10),)
    for rollout in range(rollouts):
        sha = prompt_sha(ALIGNMENT_SYSTEM, ALIGNMENT), prompt_sha(QUALITY_SYSTEM, QUALITY)
        if case.edit["status"] != "ok":
            gone = f"edit {case.edit['status']}"
            yield Asking(case.edit, NAME, rollout, "source,edit", sha[0], alignment, reason=gone)
            yield Asking(case.edit, NAME, rollout, "edit", sha[1], quality, reason=gone)
            continue
        named = case.named(NAME)
        words = ALIGNMENT.format(instruction=fenced(case.sample.row["instruction"]))
        both = (case.sources[0], case.made)
        truth = partial(told, case, Alignment)
        request = Request(named, words, Alignment, both, ALIGNMENT_SYSTEM, rollout, truth)
        yield Asking(case.edit, NAME, rollout, "source,edit", sha[0], alignment, request)
        truth = partial(told, case, Quality)
        request = Request(named, QUALITY, Quality, (case.made,), QUALITY_SYSTEM, rollout, truth)
        yield Asking(case.edit, NAME, rollout, "edit", sha[1], quality, request)


def told(case: Case, schema: type[Answer]) -> dict:
    """The oracle's answer."""
    if schema is Quality:
        return {"perceptual_quality": str(oracle.answer("PQ", 10, case.verdict))}
    scores = {name: str(oracle.answer(tag, 10, case.verdict)) for tag, name in oracle.SCORES.items() if tag != "PQ"}
    return {"reasoning": "The scene's truth is known."} | scores


def scores(rows: list[dict], questions: list[dict]) -> dict[str, Outcome]:
    """Means over the rollouts that were answered, and the mean of the three; missing where one has no answer at all."""
    parts = {}
    for name, item in (("ce_if", "alignment_if"), ("ce_idp", "alignment_idp"), ("ce_pq", "quality_pq")):
        mine = [row for row in rows if row["question_id"] == item]
        lost = [row["reason"] for row in mine if row["status"] == "missing"]
        value = mean([row["value"] for row in mine if row["value"] is not None])
        note = f"{len(lost)} of {len(mine)} rollouts missing" if lost else None
        parts[name] = (
            outcome.of(value, note) if value is not None else outcome.missing(lost[0] if lost else "not asked")
        )
    if all(part.value is not None for part in parts.values()):
        return parts | {"ce_overall": outcome.of(sum(part.value for part in parts.values()) / 3)}
    return parts | {"ce_overall": next(part for part in parts.values() if part.value is None)}
