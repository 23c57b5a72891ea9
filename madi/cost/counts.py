"""How many samples, edits and answers there are. Edits are counted by the edit stage's own plan, over samples that
stand for those that are not there yet, so what is asked twice is made once here too."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from functools import cached_property

from madi import outside, settle
from madi.config import Config, JudgeSlice
from madi.cost.shapes import sources
from madi.edit.work import Work, plan
from madi.jobs import job_of
from madi.samples import Sample
from madi.score.judge import protocols
from madi.settings import BenchmarkSet

TURNS = 2  # of a session, in scenes and on average in MagicBrush
ITEMS = [{"level": 1, "question": ""}] * 6  # of an IDEA-Bench case


class Counts:
    """Of one config."""

    def __init__(self, config: Config):
        self.config = config

    def samples(self, name: str) -> int:
        """Of a set."""
        of = self.config.data.benchmarks.get(name)
        if of is not None:
            return of.samples * levels(name, of)
        own = outside.source(self.config, name)
        return own.edits + own.t2i or sum(source.take or 0 for source in own.sources.values())

    def pictures(self, name: str) -> int:
        """Of a set: its sources and targets."""
        if name == "train":
            return 2 * self.config.data.train.edits + self.config.data.train.t2i
        return (sources(name) + 1) * self.samples(name)

    @property
    def planned(self) -> int:
        """Training edits that get a plan."""
        return round(self.config.prompts.plans.share * self.config.data.train.edits)

    @cached_property
    def batches(self) -> list[list[Work]]:
        """All edits, in the batches in which they are made."""
        edit = self.config.edit
        asked = {name: self._stand_ins(name) for name in settle.sets_of(edit.asks.values())}
        return plan(edit.asks.values(), edit.editors, asked, edit.sampler.batch)

    @cached_property
    def by_job(self) -> dict[str, list[list[Work]]]:
        """The same, by edit job."""
        found: dict[str, list[list[Work]]] = defaultdict(list)
        for works in self.batches:
            found[job_of(self.config.edit.editors, works[0].editor)].append(works)
        return found

    def _stand_ins(self, name: str) -> dict[str, Sample]:
        of, grouped = self.config.data.benchmarks.get(name), 1
        if name == "magicbrush":
            grouped = TURNS
        elif of is not None:
            grouped = levels(name, of)
        spec = {"items": ITEMS} if name == "idea_bench" else {}
        if name == "idea_bench" and not outside.scenes(self.config, name):
            spec["prompts"] = ITEMS  # at the most: of I2I's tasks two are of the automatic evaluation
        spec |= {"ops": []} if outside.scenes(self.config, name) and sources(name) else {}
        found = {}
        for number in range(self.samples(name)):
            key, turn = f"{name}-{number}", number % grouped if name == "magicbrush" else 0
            row = {"sample_id": key, "group_id": f"{name}-{number // grouped}", "spec": json.dumps(spec)}
            row |= {"follows": f"{name}-{number - 1}" if turn else None, "sources": [None] * sources(name)}
            found[key] = Sample(row, "to come", number)
        return found

    @cached_property
    def edits(self) -> Counter[tuple[str, str]]:
        """Edits by job and benchmark."""
        editors = self.config.edit.editors
        return Counter((job_of(editors, work.editor), work.benchmark) for works in self.batches for work in works)

    @cached_property
    def answers(self) -> Counter[tuple[str, str, str]]:
        """Calls of the judge by job, benchmark and protocol; each edit is asked about by its benchmark's protocols."""
        score, editors = self.config.score, self.config.edit.editors
        told = {"judge": score.judge, "mllm": settle.identity(self.config, score.judge)}
        told |= {"rollouts": score.rollouts, "rollouts_of": score.rollouts_of}
        job = JudgeSlice(job="all", protocols=score.protocols, **told)
        asked: dict[tuple, list] = {}
        found: Counter[tuple[str, str, str]] = Counter()
        for work in (work for works in self.batches for work in works):
            kind = work.benchmark, work.pause, work.seed
            if kind not in asked:
                edit = {"benchmark": work.benchmark, "pause": work.pause, "seed": work.seed}
                asked[kind] = protocols(job, edit, work.sample)
            for protocol in asked[kind]:
                times = 1 if protocol.NAME == "truth" else job.times(protocol.NAME)
                found[job_of(editors, work.editor), work.benchmark, protocol.NAME] += protocol.CALLS * times
        return found


def levels(name: str, of: BenchmarkSet) -> int:
    """How many samples one counts as: Complex-Edit's are counted a level."""
    return (of.levels or 8) if name == "complex_edit" else 1
