"""One score job: every number of every edit of a shard, in the order of its edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from madi import images, samples, shards
from madi.config import ScoreSlice
from madi.errors import MadiError
from madi.progress import progress
from madi.records import ANSWER, EDIT, QUESTION, SCORE
from madi.samples import Sample
from madi.score import outcome, pixels, truthful
from madi.score.outcome import Outcome
from madi.score.similar import Asked, Similar, against_text

Name = tuple[str, str]  # metric, against


@dataclass
class Case:
    """An edit between the pass that looks at pictures and the one that writes rows. `asked`: None if it failed."""

    edit: dict
    sample: Sample
    asked: Asked | None = None
    outcomes: dict[Name, Outcome] = field(default_factory=dict)


def run(job: ScoreSlice, edits: Path, files: dict[str, Path], questions: dict[str, Path], out: Path, answers: Path):
    """Scores of the edits in `edits` to `out`, and the judge's answers to `answers`.

    files and questions: samples and questions by benchmark. Errors: MadiError naming file, row and column.
    """
    asked = {name: samples.load(path) for name, path in files.items()}
    bank = {name: by_sample(path) for name, path in questions.items()}
    keys = shards.read(edits, EDIT, ["benchmark", "sample_id"])  # faults in them are told before any model is loaded
    of = [sample_of(key, asked, f"{edits} row {number}") for number, key in enumerate(keys)]
    similar = towers(job)
    cases, said = [], []
    for number, edit in enumerate(progress(shards.stream(edits, EDIT), len(of), f"score {job.job}")):
        where = f"{edits} row {number} column image"
        case, replies = look(edit, of[number], bank.get(edit["benchmark"]), similar, where)
        cases.append(case)
        said += replies
    shards.write(answers, said, ANSWER)
    shards.write(out, (row for case in cases for row in score_rows(case, similar, bank)), SCORE)


def look(edit: dict, sample: Sample, bank: dict | None, similar: Similar, where: str) -> tuple[Case, list[dict]]:
    """Decodes one edit and measures all that needs its pixels: (case, Answer rows). bank: its benchmark's questions."""
    questions = None if bank is None else bank.get(sample.id, [])
    bare = {name: value for name, value in edit.items() if name != "image"}
    if edit["status"] != "ok":
        replies = [truthful.answer(bare, q, None, f"edit {edit['status']}") for q in questions or ()]
        return Case(bare, sample), replies if sample.count else []
    made = images.decode((edit["image"] or {}).get("bytes"), where)
    judged = truthful.judge(bare, sample, made, questions)
    source, target = pictures(sample)
    if source is not None:  # one size, so that every picture goes through the same resizing
        made = images.resize(made, *source.shape[:2])
    case = Case(bare, sample, similar.ask(sample, made, source, target))
    case.outcomes = {(metric, "truth"): found for metric, found in judged.outcomes.items()}
    for against, other in (("source", source), ("target", target)):
        if sample.count and other is not None:
            fitted = images.resize(made, *other.shape[:2])
            case.outcomes["l1", against] = outcome.of(pixels.l1(fitted, other))
            case.outcomes["l2", against] = outcome.of(pixels.l2(fitted, other))
    return case, judged.answers


def score_rows(case: Case, similar: Similar, bank: dict) -> Iterator[dict]:
    """All Score rows of a case: the same metrics whether its edit stands or failed."""
    found = dict(case.outcomes)
    if case.asked is not None:
        found |= similar.answer(case.sample, case.asked)
    else:
        gone = f"edit {case.edit['status']}: {case.edit['reason']}"
    for metric, against in wanted(case.sample, case.edit["benchmark"] in bank):
        result = found[metric, against] if case.asked is not None else outcome.missing(gone)
        yield outcome.record(case.edit, metric, against, backend(metric, similar), result)


def wanted(sample: Sample, asks: bool) -> list[Name]:
    """(metric, against) of all numbers that an edit of this sample gets, in their order in the shard."""
    names: list[Name] = [("clip_t", against) for against in against_text(sample)]
    if sample.count:
        held = ["source"] + ["target"] * (sample.row["target"] is not None)
        names = [("clip_i", against) for against in held] + names + [("clip_dir", "source")]
        names += [(metric, against) for metric in ("dino", "l1", "l2") for against in held]
    return names + [(metric, "truth") for metric in truthful.metrics(sample, asks)]


def backend(metric: str, similar: Similar) -> str:
    """What a metric's numbers were made with."""
    if metric.startswith("clip_"):
        return similar.clip.name
    named = {"dino": similar.dino.name, "l1": "pixels", "l2": "pixels", "geneval_correct": "parser"}
    return named.get(metric, truthful.oracle.NAME)


def sample_of(edit: dict, asked: dict[str, dict[str, Sample]], where: str) -> Sample:
    """The sample that an edit is of."""
    if edit["benchmark"] not in asked:
        name = edit["benchmark"]
        raise MadiError(f"edit of {name}", f"{where} column benchmark", f"--benchmark {name}=FILE on the command line")
    if edit["sample_id"] not in asked[edit["benchmark"]]:
        raise MadiError(
            f"edit of {edit['sample_id']!r}",
            f"{where} column sample_id",
            f"one of the {len(asked[edit['benchmark']])} samples of {edit['benchmark']}",
            "make the edits again",
        )
    return asked[edit["benchmark"]][edit["sample_id"]]


def by_sample(path: Path) -> dict[str, list[dict]]:
    """Question rows by sample, in the order of the file."""
    found: dict[str, list[dict]] = {}
    for row in shards.stream(path, QUESTION):
        found.setdefault(row["sample_id"], []).append(row)
    return found


@lru_cache(maxsize=16)  # all edits of a sample stand together
def pictures(sample: Sample) -> tuple[np.ndarray | None, np.ndarray | None]:
    """(first source, target) of a sample, uint8 [H,W,3]; no target for text-to-image: nothing is held against it."""
    return (sample.source(), sample.target()) if sample.count else (None, None)


def towers(job: ScoreSlice) -> Similar:
    """The embedding models, with threads from the config: sums in another order are other bytes."""
    import torch

    from madi.score.clip import Clip
    from madi.score.dino import Dino

    torch.set_num_threads(job.threads)
    return Similar(Clip(job.clip), Dino(job.dino), job.batch)
