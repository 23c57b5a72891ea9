"""The one source of the configuration: a scale (`Config`), and the slices of it that single jobs read.

A scale is one complete YAML file. No verb reads it: the rules of `Snakefile` cut it into slices, one small JSON
file a job, and a verb reads its slice with `read(path, RunSlice)`. A value that changes therefore reruns the jobs
whose slice holds it, and no other. This module imports no torch: checking a config costs half a second.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, ValidationError, model_validator

from madi import configfile, grids, jobs
from madi.editors import Editor, EditorSlice, Spending
from madi.errors import MadiError
from madi.grids import Grid
from madi.mllms import Identity, Mllm
from madi.settings import (
    Ask,
    AskedSet,
    BenchmarkSet,
    Data,
    Edit,
    GenEval,
    Prompts,
    Protocol,
    Run,
    Sampler,
    Score,
    Tables,
    Threshold,
    Tower,
    Train,
    TuneSet,
    Weights,
)
from madi.values import Count, Name, Natural, NonNegative, Part, Share, Threads

PartModel = TypeVar("PartModel", bound=Part)
OWN_WORDS = {"plans": ("truth", "grammar"), "questions": ("truth", "general"), "judge": ("oracle",)}


class Config(Part):
    """A scale, complete in itself."""

    name: Name
    seed: Natural
    threads: Threads
    size_px: Annotated[int, Field(ge=16, multiple_of=16)]
    data: Data
    mllms: dict[Name, Mllm] = {}
    grids: dict[Name, Grid] = {}
    prompts: Prompts
    model: Weights
    train: Train
    edit: Edit
    score: Score
    tables: Tables

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, raw: Any) -> Any:
        return grids.fill(configfile.fill_runs(raw))

    @model_validator(mode="after")
    def _names_meet(self) -> "Config":
        """Editors name known runs; asks name known editors and benchmarks that have data; every editor is asked."""
        for name, grid in self.grids.items():
            for i, benchmark in enumerate(grid.benchmarks):
                configfile.known(benchmark, ["validation", *self.data.benchmarks], ("grids", name, "benchmarks", i))
        for name, editor in self.edit.editors.items():
            configfile.known(editor.run, [None, *self.train.runs], ("edit", "editors", name, "run"))
        for name, ask in self.edit.asks.items():
            configfile.known(ask.benchmark, ["validation", *self.data.benchmarks], ("edit", "asks", name, "benchmark"))
            for i, editor in enumerate(ask.editors):
                configfile.known(editor, self.edit.editors, ("edit", "asks", name, "editors", i))
        self._hold_apart()
        for job in self.edit.shards_of:
            configfile.known(job, jobs.jobs(self.edit.editors), ("edit", "shards_of", job))
        self._ask_seed_0()
        self._ask_known_models()
        if (tower := self.model.more.get(self.score.geneval.colours or "")) and tower.kind != "clip":
            found = f"found {self.score.geneval.colours}, a ViT"
            raise configfile.KeyProblem(("score", "geneval", "colours"), found, "a CLIP of model.more, or a folder")
        asked = {editor for ask in self.edit.asks.values() for editor in ask.editors}
        for name in self.edit.editors:
            if name not in asked:
                where = ("edit", "editors", name)
                raise configfile.KeyProblem(where, "nothing is asked of it", "an ask with it", "add one, or remove it")
        return self

    def _hold_apart(self) -> None:
        """An endpoint is asked where the network is, which is no place for a job on a GPU."""
        for job, names in jobs.jobs(self.edit.editors).items():
            far = [name for name in names if self.edit.editors[name].kind == "endpoint"]
            if far and len(far) < len(names):
                where = ("edit", "editors", far[0], "job")
                raise configfile.KeyProblem(where, f"found {job}, a job of editors that are no endpoints", "its own")

    def _ask_known_models(self) -> None:
        """Plans, questions and answers come from the program's own, or from a model of `mllms`."""
        for own in OWN_WORDS.values():
            for name in own:
                if name in self.mllms:
                    raise configfile.KeyProblem(("mllms", name), "found a name that means something else", "another")
        named = {"plans": self.prompts.plans.provider, "questions": self.prompts.questions.provider}
        for part, name in named.items():
            configfile.known(name, [*OWN_WORDS[part], *self.mllms], ("prompts", part, "provider"))
        configfile.known(self.score.judge, [*OWN_WORDS["judge"], *self.mllms], ("score", "judge"))

    def _ask_seed_0(self) -> None:
        """Tables, summary and galleries show seed 0; without it they would be empty."""
        seeds: dict[tuple[str, str], set[int]] = {}
        for ask in self.edit.asks.values():
            for editor in ask.editors:
                seeds.setdefault((editor, ask.benchmark), set()).update(ask.seeds)
        for name, ask in self.edit.asks.items():
            if any(0 not in seeds[editor, ask.benchmark] for editor in ask.editors):
                where = ("edit", "asks", name, "seeds")
                raise configfile.KeyProblem(where, f"found {ask.seeds}", "seed 0 too, here or in another ask of them")


class DataSlice(Part):
    """`data prepare` and `data latents`: one set of samples. `set` is train, validation or a benchmark's name."""

    set: str
    name: Name
    seed: Natural
    size_px: Count
    threads: Threads = 1
    source: TuneSet | BenchmarkSet


class LatentSlice(Part):
    """`data latents` and `data check`: how one set is encoded. `masked`: whether a training wants masked sources."""

    set: str
    size_px: Count
    shards: Count
    dtype: Literal["float32", "float16", "bfloat16"]
    device: Literal["cpu", "cuda"]
    masked: bool


class PlanSlice(Part):
    """`prompts plan`: which share of the training edits gets a plan of at most `steps` steps, from whom (`mllm` None:
    by the program's own `provider`)."""

    set: str
    name: Name
    seed: Natural
    provider: Name
    mllm: Identity | None = None
    share: Share
    steps: Count
    shards: Count = 1


class QuestionSlice(Part):
    """`prompts questions`: the judge's questions for one benchmark."""

    benchmark: str
    name: Name
    seed: Natural
    provider: Name
    mllm: Identity | None = None


class MllmsSlice(Part):
    """How the models of a scale are reached, and what edits by endpoints may cost: no reason to do anything again."""

    mllms: dict[Name, Mllm] = {}
    editors: dict[Name, Spending] = {}


class RunSlice(Part):
    """`train run`: one training. `seed` orders its data, times, noise and drops (it is `settings.seed`)."""

    run: Name
    name: Name
    seed: Natural
    size_px: Count
    threads: Threads
    base: str
    settings: Run
    device: Literal["cpu", "cuda"] = "cpu"
    shard: bool = False


class EditSlice(Part):
    """`edit shard`: the editors of one job, and what is asked of them (asks name this job's editors only)."""

    job: Name
    name: Name
    threads: Threads
    size_px: Count
    base: str
    sampler: Sampler
    editors: dict[Name, EditorSlice]
    asks: list[Ask]


class JudgeSlice(Part):
    """`score judge`: who answers about one job's edits (`mllm` None: the oracle), by which protocols, and how often and
    at which temperature each is asked where that differs from `rollouts` and the model's own."""

    job: Name
    judge: Name
    mllm: Identity | None = None
    protocols: dict[AskedSet, list[Protocol]]
    rollouts: Count
    rollouts_of: dict[Protocol, Count] = {}
    temperature_of: dict[Protocol, NonNegative] = {}

    def times(self, protocol: str) -> int:
        """How many rollouts a protocol asks for."""
        return self.rollouts_of.get(protocol, self.rollouts)

    def temperature(self, protocol: str) -> float:
        """At which temperature a protocol is asked; 0 for the oracle."""
        return self.temperature_of.get(protocol, self.mllm.temperature) if self.mllm else 0.0


class ScoreSlice(Part):
    """`score shard`: the scorers for one job's edits. clip, dino: None where nobody named one (`madi score folder` on
    photographs); their scores are then missing."""

    job: Name
    name: Name
    threads: Threads
    clip: str | None
    dino: str | None
    device: Literal["cpu", "cuda"] = "cpu"
    more: dict[Name, Tower] = {}
    judge: JudgeSlice
    geneval: GenEval = GenEval()
    batch: Count


class TablesSlice(Part):
    """`tables build` and `tables page`: what the tables show of the configuration, and how they are made.

    `tables` is the content of the file of table specifications, so that a changed specification rebuilds the tables.
    """

    name: Name
    seed: Natural
    size_px: Count
    tables: dict[str, Any]
    reported: str
    resamples: Count
    dino_threshold: Threshold
    clip_dir_threshold: Threshold
    gallery: Natural
    runs: dict[Name, Run]
    data: Data
    prompts: Prompts
    judge: str
    sampler: Sampler
    editors: dict[Name, Editor]
    asks: list[Ask]
    shards: dict[Name, Count] = {}  # of the jobs that have several


def edit_sha(editor: EditorSlice, sampler: Sampler, size_px: int) -> str:
    """64 hex digits over what of the configuration makes an edit what it is: not who else is in the job."""
    own = editor.model_dump(
        exclude={"pipeline": {"device"}, "endpoint": {"key", "tries", "timeout_s", "price", "budget"}}
    )
    part = [own, sampler.model_dump(exclude={"batch"}), size_px]
    return hashlib.sha256(json.dumps(part, sort_keys=True).encode()).hexdigest()


def parse(raw: dict, sources: Sequence[configfile.Source] = ()) -> Config:
    """A raw mapping as a `Config`, or a MadiError naming file, line, key, what was found and what is allowed."""
    try:
        return Config.model_validate(raw)
    except ValidationError as bad:
        raise configfile.explain(bad, Config, sources) from None
    except configfile.KeyProblem as bad:
        raise bad.explained(sources) from None


def load(files: str | Path | Sequence[str | Path]) -> Config:
    """One YAML file, or several laid over one another (later files win, key by key)."""
    paths = [files] if isinstance(files, str | Path) else files
    sources = [configfile.read(path) for path in paths]
    return parse(configfile.merge(*(source.content for source in sources)), sources)


def reached(path: Path | None, name: str, identity: Identity | None) -> Mllm | None:
    """How the model called `name` is reached, by the slice in `path`; None where no model is asked.

    Errors: MadiError where there is no such slice, or it is of another model.
    """
    if identity is None:
        return None
    if path is None:
        raise MadiError(f"nothing says how {name} is reached", "command line", "--mllms FILE")
    found = read(path, MllmsSlice).mllms.get(name)
    if found is None or found.identity != identity:
        raise MadiError(f"another {name} than is asked for", path, "the slice of the same config", "run snakemake")
    return found


def read(path: str | Path, model: type[PartModel]) -> PartModel:
    """The slice in a JSON file that `settle` wrote."""
    try:
        return model.model_validate_json(Path(path).read_bytes())
    except FileNotFoundError:
        raise MadiError("no such file", where=path, do="run `snakemake --cores all`, which writes it") from None
    except ValidationError as bad:
        raise configfile.explain(bad, model, (), where=str(path)) from None
