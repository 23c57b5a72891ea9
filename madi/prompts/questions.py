"""The judge's questions: five multiple-choice questions a benchmark edit, made once and frozen (paper, section 8).

Answers are keyed 0 (worst) to max_key (best), and -1 for what cannot be told. Every editor is asked the same ones. They
come from a multimodal model that sees source and instruction, from the op that a scene's truth tells, or from
words that fit any edit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from madi import records, samples, shards
from madi.chat import run as chats
from madi.chat.ask import Answer, English, Request, fenced, prompt_sha
from madi.chat.pictures import shown
from madi.config import QuestionSlice
from madi.errors import MadiError
from madi.mllms import Mllm
from madi.prompts import templates
from madi.records import QUESTION
from madi.samples import Sample
from madi.scenes import words
from madi.scenes.world import CELLS, Scene

SYSTEM = "You write the questions by which edits of a picture are judged."
ASK = """{pictures} to be edited. What is asked for:
{instruction}
Write five multiple-choice questions that someone who sees an edit of it, beside what you see, can answer by looking:
- IF, instruction following: is what was asked for there, where and as it was asked for?
- IDP, identity preservation: is everything that was not to change as it was?
- PQ, perceptual quality: is the edit free of distortions, artifacts, and wrong light or shadows?
Each question has one of these tags, and each tag has at least one question. Name the things that this picture shows.
Each question has 4 to 6 answers, from the worst outcome to the best, that leave no outcome out and do not overlap.
Write no answer for "cannot be told": it is added. Write English."""
TOLD_SHA = records.record_id(*(value for name, value in sorted(vars(templates).items()) if name.isupper()))
Short = Annotated[English, Field(min_length=1, max_length=400)]


class Written(Answer):
    """One question, its answers from worst to best."""

    tag: Literal["IF", "IDP", "PQ"]
    text: Short
    answers: Annotated[list[Short], Field(min_length=2, max_length=6)]

    @model_validator(mode="after")
    def _distinct(self) -> Written:
        if len(set(self.answers)) < len(self.answers):
            raise ValueError("an answer that comes twice")
        return self


class Five(Answer):
    """Five questions, one of each tag among them."""

    questions: Annotated[list[Written], Field(min_length=5, max_length=5)]

    @model_validator(mode="after")
    def _all_tags(self) -> Five:
        if lacking := {"IF", "IDP", "PQ"} - {question.tag for question in self.questions}:
            raise ValueError(f"no question of {', '.join(sorted(lacking))}")
        if len({question.text for question in self.questions}) < len(self.questions):
            raise ValueError("a question that comes twice")
        return self


def run(job: QuestionSlice, file: Path, out: Path, cache: Path | None = None, mllm: Mllm | None = None) -> None:
    """Write the questions of the samples in `file`. cache: where a model's answers are kept; mllm:
    how it is reached."""
    asked = sum(1 for _, sources, _, _ in samples.outlines(file) if sources)
    shards.write(out, questions(samples.stream(file), job, cache, asked, mllm), QUESTION)


def questions(
    found: Iterable[Sample],
    job: QuestionSlice,
    cache: Path | None = None,
    total: int = 0,
    mllm: Mllm | None = None,
) -> Iterator[dict]:
    """Five rows an edit, none where the model gave none; none for text-to-image, which has no source to be true to.

    Errors: MadiError naming file, row and column for a sample whose spec tells no ops, where they are needed.
    """
    chat = chats.chat_with(mllm, cache, job.provider)
    judge, sha = (job.mllm.model, prompt_sha(SYSTEM, ASK)) if job.mllm else (job.provider, TOLD_SHA)
    requests = (request_of(sample, job) for sample in found if sample.count)
    for request, reply in chat.ask(requests, total, f"questions of {job.benchmark}"):
        for question in reply.value.questions if reply.value else ():
            yield row(request.name, question, judge, sha)


def request_of(sample: Sample, job: QuestionSlice) -> Request:
    """What is asked about an edit."""
    if job.mllm is None:
        known = general if job.provider == "general" else from_truth
        return Request(sample.id, sample.id, Five, truth=partial(known, sample))
    where = f"{sample.file} row {sample.number} column sources"
    pictures = tuple(shown(one["bytes"], where) for one in sample.row["sources"])
    some = "Picture 1 is" if len(pictures) == 1 else f"Pictures 1 to {len(pictures)} are"
    prompt = ASK.format(pictures=some, instruction=fenced(sample.row["instruction"]))
    return Request(sample.id, prompt, Five, pictures, SYSTEM)


def general(sample: Sample) -> dict:
    """Five questions that fit any edit."""
    told = {"instruction": sample.row["instruction"]}
    chosen = (templates.ALIGNMENT, templates.EXCESS, templates.PRESERVATION, templates.DISTORTION, templates.BLENDING)
    return {"questions": [filled(template, told) for template in chosen]}


def from_truth(sample: Sample) -> dict:
    """The five of an edit in the scene world: IF and IDP for the whole, PQ twice, and IF for its latest op."""
    truth = sample.spec()
    if not truth.get("ops") or not truth.get("sources"):
        where = f"{sample.file} row {sample.number} column spec"
        do = "say provider general, or a model's name"
        raise MadiError("the sample's truth is not told", where, '"sources" and "ops", each with an entry', do)
    op = truth["ops"][-1]
    told = {"instruction": sample.row["instruction"]} | describe(Scene.from_dict(truth["sources"][0]), op)
    chosen = (
        templates.ALIGNMENT,
        templates.PRESERVATION,
        templates.DISTORTION,
        templates.OF_OP["wipe" if op["op"] == "letter" and op["letter"] is None else op["op"]],
        templates.BLENDING,
    )
    return {"questions": [filled(template, told) for template in chosen]}


def describe(source: Scene, op: dict) -> dict[str, str]:
    """What a template may name of an op: the thing it is about, its place, and what it is to become."""
    told = {name: op[name] for name in ("colour", "shape", "size") if op.get(name)}
    told["letter"] = f"the letter {op.get('letter')}"
    told |= {"ground": words.GROUND.get(op.get("background")), "light": words.LIGHT.get(op.get("light"))}
    told["style"] = words.STYLE.get(op.get("style"))
    cell = op.get("cell")
    told["place"] = words.PLACE[CELLS[cell]] if cell is not None else "somewhere"
    thing = source.at(cell) if cell is not None else None
    told["thing"] = f"the {words.named(thing)} {told['place']}" if thing else f"the thing {told['place']}"
    told["added"] = " ".join(op[name] for name in ("size", "colour", "shape") if op.get(name))
    told["article"] = "an" if told["added"][:1] in tuple("aeiou") else "a"
    return told


def filled(template: tuple, told: dict) -> dict:
    """A question of a template. Answers may begin with a word of the op: "{ground} is there" -> "Grass is there"."""
    tag, text, answers = template
    return {"tag": tag, "text": text.format(**told), "answers": [_sentence(one.format(**told)) for one in answers]}


def row(sample_id: str, question: Written, judge: str, sha: str) -> dict:
    """The Question row of one question."""
    options = [{"key": key, "text": answer} for key, answer in enumerate(question.answers)]
    found = {
        "sample_id": sample_id,
        "tag": question.tag,
        "text": question.text,
        "options": [*options, {"key": -1, "text": templates.UNKNOWN}],
        "max_key": len(question.answers) - 1,
        "judge": judge,
        "prompt_sha": sha,
    }
    return found | {"question_id": records.question_id(found)}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
