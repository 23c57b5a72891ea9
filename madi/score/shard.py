"""One score job: every number of every edit of a shard, in the order of its edits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from madi import samples, shards
from madi.config import ScoreSlice
from madi.progress import progress
from madi.records import EDIT, SCORE
from madi.samples import Sample
from madi.score import geneval_by, metrics, outcome, pictures
from madi.score.judge import protocols
from madi.score.metrics import Later, Metric
from madi.score.outcome import Outcome
from madi.score.pictures import Seen
from madi.score.rows import Answers, by_edit, by_sample, edits_of
from madi.score.similar import Embedder
from madi.score.truthful import Truth


def run(
    job: ScoreSlice, edits: Path, files: dict[str, Path], questions: dict[str, Path], answers: Path, out: Path
) -> None:
    """Scores of the edits in `edits` to `out`, those of the judge from its `answers`.

    files and questions: samples and questions by benchmark. Errors: MadiError naming file, row and column, or a class
    of a GenEval prompt that the detector does not know; nothing is scored then.
    """
    asked = {name: samples.load(path) for name, path in files.items()}
    keys, of = edits_of(edits, asked)  # faults in them are told before any model is loaded
    told = by_edit(answers, {key["edit_id"] for key in keys})
    bank = {name: by_sample(path) for name, path in questions.items()}
    scorers = scorers_of(job, bank, told, of)
    embedders = [one for one in scorers if isinstance(one, Embedder)]
    seen = pictures.ahead(shards.stream(edits, EDIT), of, embedders, job.threads, edits)
    found = [look(*one, scorers) for one in progress(seen, len(of), f"score {job.job}")]
    shards.write(out, (row for pending in found for row in pending.rows()), SCORE)


@dataclass(frozen=True)
class Pending:
    """The numbers of one edit, which are there when all embeddings are."""

    edit: dict
    numbers: list[tuple[str, str, str, Later]]  # metric, against, backend, outcome

    def rows(self) -> Iterator[dict]:
        """Its Score rows."""
        for metric, against, backend, later in self.numbers:
            yield outcome.record(self.edit, metric, against, backend, later())


def look(edit: dict, sample: Sample, seen: Seen | None, scorers: list) -> Pending:
    """Measures one edit, or names the same numbers as missing where it failed (seen is None)."""
    gone = f"edit {edit['status']}: {edit['reason']}"
    numbers = []
    for metric, scorer, against in metrics.wanted(edit, sample, scorers):
        reason = gone if seen is None else scorer.lacks
        later = metric.measure(scorer, seen, against) if reason is None else missing(reason)
        numbers.append((metric.name + scorer.suffix, against, scorer.backend(metric), later))
    return Pending(edit, numbers)


def missing(reason: str) -> Later:
    value = outcome.missing(reason)
    return lambda: value


class Pixels:
    """L1 and L2, after the edit was resized to what it is held against as `PIL.Image.resize` does by default."""

    kind, lacks, suffix = "pixels", None, ""

    def backend(self, metric: Metric) -> str:
        return "pixels resize=bicubic"

    def wants(self, metric: Metric, edit: dict, sample: Sample) -> bool:
        return True


class Absent:
    """A model that nobody named: its numbers are missing for the reason, never made with another."""

    def __init__(self, kind: str, lacks: str):
        self.kind, self.lacks, self.suffix = kind, lacks, ""

    def backend(self, metric: Metric) -> str:
        return "none"

    def wants(self, metric: Metric, edit: dict, sample: Sample) -> bool:
        return True


class Judged:
    """What a judge's answers come to."""

    kind, lacks, suffix = "judge", None, ""

    def __init__(self, job: ScoreSlice, bank: dict[str, dict[str, list[dict]]], answers: Answers):
        self.job, self.bank, self.answers = job, bank, answers
        self.last: tuple[str, dict[str, Outcome]] = "", {}
        rows = [(protocol, row) for (_, protocol), some in answers.items() for row in some]
        revisions = sorted({row["revision"] for _, row in rows if row["revision"]})
        self.judge = "@".join([job.judge.judge, "+".join(revisions)] if revisions else [job.judge.judge])
        self.rubrics: dict[str, set[str]] = {}
        for protocol, row in rows:
            self.rubrics.setdefault(protocol, set()).add(row["prompt_sha"][:8])

    def backend(self, metric: Metric) -> str:
        """The judge, the revisions that answered, the protocol, and a hash of the words that it was asked in."""
        words = "+".join(sorted(self.rubrics.get(metric.protocol, ())))
        return f"{self.judge} {metric.protocol}" + (f"@{words}" if words else "")

    def wants(self, metric: Metric, edit: dict, sample: Sample) -> bool:
        return metric.protocol in {protocol.NAME for protocol in protocols(self.job.judge, edit, sample)}

    def measure(self, name: str, seen: Seen) -> Outcome:
        """One of the numbers of an edit's protocols."""
        edit = seen.edit["edit_id"]
        if self.last[0] != edit:
            self.last = edit, self._outcomes(seen.edit, seen.sample)
        return self.last[1][name]

    def _outcomes(self, edit: dict, sample: Sample) -> dict[str, Outcome]:
        questions = self.bank.get(edit["benchmark"], {}).get(sample.id, [])
        found: dict[str, Outcome] = {}
        for protocol in protocols(self.job.judge, edit, sample):
            found |= protocol.scores(self.answers.get((edit["edit_id"], protocol.NAME), []), questions)
        return found


def scorers_of(job: ScoreSlice, bank: dict, answers: Answers, of: list[Sample]) -> list:
    """All that makes numbers in a job, in the order of their rows.

    Threads come from the config, never from the host: sums in another order are other bytes.
    """
    import torch

    from madi.score.clip import Clip
    from madi.score.dino import Dino

    torch.set_num_threads(job.threads)
    towers = {"clip": Clip, "dino": Dino}
    first: list = []
    for kind, folder in (("clip", job.clip), ("dino", job.dino)):
        if folder is None:
            first.append(Absent(kind, f"no {kind.upper()} is named (--{kind} DIR)"))
        else:
            first.append(Embedder(kind, towers[kind](folder, job.device), job.batch))
    rule = geneval_by.of(job, first[0], [sample for sample in dict.fromkeys(of) if not sample.count])
    more = []
    for name, one in job.more.items():
        squash = {"squash": True} if one.resize == "squash" else {}
        more.append(Embedder(one.kind, towers[one.kind](one.folder, job.device, **squash), job.batch, f"_{name}"))
    return [*first, Pixels(), Truth(answers), rule, *more, Judged(job, bank, answers)]
