"""One score job: every number of every edit of a shard, in the order of its edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from madi import images, samples, shards
from madi.config import ScoreSlice
from madi.progress import progress
from madi.records import EDIT, SCORE
from madi.samples import Sample
from madi.score import geneval_by, outcome, pixels, truthful
from madi.score.judge import protocols
from madi.score.judges import truth
from madi.score.outcome import Outcome
from madi.score.rows import Answers, by_edit, by_sample, edits_of, image_of
from madi.score.similar import Asked, Similar

Name = tuple[str, str]  # metric, against


@dataclass
class Case:
    """An edit between the pass that looks at pictures and the one that writes rows. `asked`: None if it failed."""

    edit: dict
    sample: Sample
    asked: list[Asked] | None = None  # by the embedding models, in their order
    outcomes: dict[Name, Outcome] = field(default_factory=dict)


def run(
    job: ScoreSlice, edits: Path, files: dict[str, Path], questions: dict[str, Path], answers: Path, out: Path
) -> None:
    """Scores of the edits in `edits` to `out`, those of the judge from its `answers`.

    files and questions: samples and questions by benchmark. Errors: MadiError naming file, row and column.
    """
    asked = {name: samples.load(path) for name, path in files.items()}
    keys, of = edits_of(edits, asked)  # faults in them are told before any model is loaded
    told = by_edit(answers, {key["edit_id"] for key in keys})
    judged = Judged(job, {name: by_sample(path) for name, path in questions.items()}, told)
    similar = towers(job)
    rule = geneval_by.of(job, similar[0].clip)
    cases = []
    for number, edit in enumerate(progress(shards.stream(edits, EDIT), len(of), f"score {job.job}")):
        cases.append(look(edit, of[number], similar, rule, judged.truth(edit), f"{edits} row {number} column image"))
    shards.write(out, (row for case in cases for row in score_rows(case, similar, judged, rule.name)), SCORE)


def look(edit: dict, sample: Sample, similar: list[Similar], rule, told: dict[str, float], where: str) -> Case:
    """Decodes one edit and measures all that needs its pixels. told: what the oracle said of it, if it was asked."""
    bare = {name: value for name, value in edit.items() if name != "image"}
    if edit["status"] != "ok":
        return Case(bare, sample)
    made = images.decode(image_of(edit, where), where)
    found = {(metric, "truth"): result for metric, result in truthful.judge(sample, made, told).items()}
    if "geneval" in sample.spec() and not sample.count:
        found["geneval_correct", "truth"] = rule.decide(sample, bare, made)
    source, target = pictures(sample)
    if source is not None:  # one size, so that every picture goes through the same resizing
        made = images.resize(made, *source.shape[:2])
    case = Case(bare, sample, [models.ask(sample, made, source, target) for models in similar], found)
    for against, other in (("source", source), ("target", target)):
        if sample.count and other is not None:
            fitted = images.resize(made, *other.shape[:2])
            case.outcomes["l1", against] = outcome.of(pixels.l1(fitted, other))
            case.outcomes["l2", against] = outcome.of(pixels.l2(fitted, other))
    return case


def score_rows(case: Case, similar: list[Similar], judged: Judged, rule: str) -> Iterator[dict]:
    """All Score rows of a case: the same metrics whether its edit stands or failed."""
    found = dict(case.outcomes)
    if case.asked is not None:
        for models, asked in zip(similar, case.asked):
            found |= models.answer(case.sample, asked)
        found |= {(metric, "judge"): result for metric, result in judged.outcomes(case.edit, case.sample).items()}
    else:
        gone = f"edit {case.edit['status']}: {case.edit['reason']}"
    for (metric, against), made_with in wanted(case, similar, judged, rule):
        result = found[metric, against] if case.asked is not None else outcome.missing(gone)
        yield outcome.record(case.edit, metric, against, made_with, result)


def wanted(case: Case, similar: list[Similar], judged: Judged, rule: str) -> Iterator[tuple[Name, str]]:
    """((metric, against), what it is made with) of all numbers that an edit gets, in their order. rule: who decides
    GenEval's."""
    sample = case.sample
    yield from ((name, similar[0].backend(name[0])) for name in similar[0].wanted(sample))
    held = ["source"] + ["target"] * (sample.row["target"] is not None) if sample.count else []
    yield from (((metric, against), "pixels") for metric in ("l1", "l2") for against in held)
    for metric in truthful.metrics(sample):
        yield (metric, "truth"), rule if metric == "geneval_correct" else truthful.oracle.NAME
    for models in similar[1:]:
        yield from ((name, models.backend(name[0])) for name in models.wanted(sample))
    yield from ((name, judged.name) for name in judged.wanted(case.edit, sample))


class Judged:
    """What a judge's answers come to. name: the judge, and the revisions that answered."""

    def __init__(self, job: ScoreSlice, bank: dict[str, dict[str, list[dict]]], answers: Answers):
        self.job, self.bank, self.answers = job, bank, answers
        revisions = {row["revision"] for rows in answers.values() for row in rows if row["revision"]}
        self.name = "@".join([job.judge.judge, "+".join(sorted(revisions))] if revisions else [job.judge.judge])

    def wanted(self, edit: dict, sample: Sample) -> list[Name]:
        """(metric, "judge") of all numbers that an edit of this sample gets from the judge."""
        asked = protocols(self.job.judge, edit, sample)
        return [(metric, "judge") for protocol in asked for metric in protocol.METRICS]

    def truth(self, edit: dict) -> dict[str, float]:
        """What the oracle said of an edit in its own numbers, by tag."""
        return truth.numbers(self.answers.get((edit["edit_id"], truth.NAME), []))

    def outcomes(self, edit: dict, sample: Sample) -> dict[str, Outcome]:
        """All of `wanted` by metric."""
        questions = self.bank.get(edit["benchmark"], {}).get(sample.id, [])
        found: dict[str, Outcome] = {}
        for protocol in protocols(self.job.judge, edit, sample):
            found |= protocol.scores(self.answers.get((edit["edit_id"], protocol.NAME), []), questions)
        return found


@lru_cache(maxsize=16)  # all edits of a sample stand together
def pictures(sample: Sample) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(first source, target) of a sample, uint8 [H,W,3]; no target for text-to-image: nothing is held against it."""
    return (sample.source(), sample.target()) if sample.count else (None, None)


def towers(job: ScoreSlice) -> list[Similar]:
    """The embedding models, with threads from the config: sums in another order are other bytes. The first are the
    job's own two; one each follows for `more`."""
    import torch

    from madi.score.clip import Clip
    from madi.score.dino import Dino

    torch.set_num_threads(job.threads)
    found = [Similar(Clip(job.clip), Dino(job.dino), job.batch)]
    for name, tower in job.more.items():
        one = (Clip(tower.folder), None) if tower.kind == "clip" else (None, Dino(tower.folder))
        found.append(Similar(*one, job.batch, name))
    return found
