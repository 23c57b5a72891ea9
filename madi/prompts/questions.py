"""The judge's questions: five multiple-choice questions a benchmark edit, written once and frozen (paper, section 8).

Answers are keyed 0 (worst) to max_key (best), and -1 for what cannot be told. Every editor is asked the same ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from madi import records, samples, shards
from madi.config import QuestionSlice
from madi.errors import MadiError
from madi.prompts import templates
from madi.records import QUESTION
from madi.samples import Sample
from madi.scenes import words
from madi.scenes.world import CELLS, Scene

PROMPT_SHA = records.record_id(*(value for name, value in sorted(vars(templates).items()) if name.isupper()))


def run(job: QuestionSlice, file: Path, out: Path) -> None:
    """Write the questions of the samples in `file`."""
    shards.write(out, questions(samples.load(file).values(), job), QUESTION)


def questions(found: Iterable[Sample], job: QuestionSlice) -> Iterator[dict]:
    """Five rows an edit; none for text-to-image, which has no source to be true to.

    Errors: MadiError naming file, row and column for a sample whose spec tells no ops.
    """
    for sample in found:
        if sample.count:
            yield from ask(sample, job.provider)


def ask(sample: Sample, judge: str) -> list[dict]:
    """The five Question rows of an edit: IF and IDP for the whole, PQ twice, and IF for its latest op."""
    truth = sample.spec()
    if not truth.get("ops") or not truth.get("sources"):
        where = f"{sample.file} row {sample.number} column spec"
        raise MadiError("the sample's truth is not told", where, '"sources" and "ops", each with an entry')
    op = truth["ops"][-1]
    told = {"instruction": sample.row["instruction"]} | describe(Scene.from_dict(truth["sources"][0]), op)
    chosen = (
        templates.ALIGNMENT,
        templates.PRESERVATION,
        templates.DISTORTION,
        templates.OF_OP["wipe" if op["op"] == "letter" and op["letter"] is None else op["op"]],
        templates.BLENDING,
    )
    return [_row(sample, judge, template, told) for template in chosen]


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


def _row(sample: Sample, judge: str, template: tuple, told: dict) -> dict:
    tag, text, answers = template
    # Answers may begin with a word of the op: "{ground} is there" becomes "Grass is there".
    filled = [_sentence(answer.format(**told)) for answer in answers]
    options = [{"key": key, "text": answer} for key, answer in enumerate(filled)]
    row = {
        "sample_id": sample.id,
        "tag": tag,
        "text": text.format(**told),
        "options": [*options, {"key": -1, "text": templates.UNKNOWN}],
        "max_key": len(answers) - 1,
        "judge": judge,
        "prompt_sha": PROMPT_SHA,
    }
    return row | {"question_id": records.question_id(row)}


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
