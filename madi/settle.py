"""Which jobs a scale comes to, and the slice of it that each job reads.

The rules write a slice to `results/<name>/<part>/config.json` from Snakemake's params, so a slice is rewritten, and
the jobs behind it rerun, when its own content changes. Slices hold no file that a rule makes: those are the rules'.
"""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from shlex import quote
from typing import Any

from madi import config as model
from madi import configfile, grid_tables, provenance
from madi import jobs as edit_jobs
from madi.config import Config
from madi.editors import Editor, EditorSlice
from madi.mllms import Identity
from madi.settings import Ask, BenchmarkSet, Source, TuneSet
from madi.shards import read_json
from madi.values import Hub

WITH_BASE = {"base", "truth_vae"}  # kinds of editor that load the base's weights


def sets(config: Config) -> list[str]:
    """All sets of samples."""
    return ["train", "validation", *config.data.benchmarks]


def jobs(config: Config) -> dict[str, model.EditSlice]:
    """What each edit job is asked: its editors, and the asks with no other editor in them."""
    members = edit_jobs.jobs(config.edit.editors)
    asks: dict[str, list[Ask]] = {job: [] for job in members}
    of = {name: job for job, names in members.items() for name in names}
    for ask in config.edit.asks.values():
        mine: dict[str, list[str]] = {}
        for name in ask.editors:
            mine.setdefault(of[name], []).append(name)
        for job, names in mine.items():
            asks[job].append(ask.model_copy(update={"editors": names}))
    common = {"name": config.name, "threads": config.threads, "size_px": config.size_px}
    common |= {"base": config.model.base, "sampler": config.edit.sampler}
    editors = config.edit.editors
    return {
        job: model.EditSlice(
            job=job,
            editors={name: located(config.name, name, editors[name]) for name in names},
            asks=asks[job],
            **common,
        )
        for job, names in members.items()
    }


def shards(config: Config) -> dict[str, int]:
    """Into how many each edit job is split."""
    return edit_jobs.shards(config.edit.editors, config.edit.shards, config.edit.shards_of)


def sets_of(asks: Iterable[Ask]) -> list[str]:
    """Sets of samples that are edited."""
    return list(dict.fromkeys(ask.benchmark for ask in asks))


def runs_of(job: model.EditSlice) -> list[str]:
    """Runs whose weights one edit job loads."""
    return list(dict.fromkeys(editor.run for editor in job.editors.values() if editor.run))


def located(scale: str, name: str, editor: Editor) -> EditorSlice:
    """An editor as its job reads it: published edits, if it fetches them, are where their fetch's manifest says."""
    own = editor.slice
    if not own.published or not own.published.hub:
        return own
    path = f"results/{scale}/fetched/editor_{name}.json"
    return own.model_copy(update={"published": own.published.model_copy(update={"path": path, "hub": None})})


def given(job: model.EditSlice) -> list[str]:
    """Files that one edit job's editors read: weights of pipelines, images that are there already, or the manifests of
    those that are fetched."""
    found = []
    for name, editor in job.editors.items():
        if editor.pipeline and editor.pipeline.hub:
            found.append(f"results/{job.name}/fetched/editor_{name}.json")
        elif editor.pipeline:
            found += files_in(editor.pipeline.weights)
        for part in (editor.folder, editor.published):
            if part:
                found += [part.path] if part.path.endswith(".json") else files_in(part.path)
    return found


def needs_base(job: model.EditSlice) -> bool:
    """Whether one edit job loads the base's own weights."""
    return any(editor.kind in WITH_BASE for editor in job.editors.values())


def slices(config: Config, tables: dict[str, Any]) -> dict[str, str]:
    """Every slice as JSON, by the folder under `results/<name>/` that its job writes to.

    tables: the content of the file of table specifications.
    """
    about = {"name": config.name, "seed": config.seed}
    parts: dict[str, model.Part] = {f"data/{name}": _data(config, name) for name in sets(config)}
    parts["data/train/latents"] = _latents(config)
    plans, provider = config.prompts.plans, config.prompts.questions.provider
    if config.mllms:
        parts["mllms"] = model.MllmsSlice(mllms=config.mllms)
    parts["prompts"] = model.PlanSlice(
        **about, set="train", mllm=identity(config, plans.provider), **plans.model_dump()
    )
    for name in sets_of(config.edit.asks.values()):
        asker = {"provider": provider, "mllm": identity(config, provider)}
        parts[f"prompts/{name}"] = model.QuestionSlice(**about, benchmark=name, **asker)
    for name, run in config.train.runs.items():
        parts[f"runs/{name}"] = _run(config, name, run)
    for name, job in jobs(config).items():
        parts[f"edits/{name}"] = job
        parts[f"answers/{name}"] = judge_slice(config, job)
        parts[f"scores/{name}"] = _score(config, job)
    parts["tables"] = _tables(config, tables)
    return {part: found.model_dump_json() for part, found in parts.items()}


def _data(config: Config, name: str) -> model.DataSlice:
    common = {"name": config.name, "seed": config.seed, "size_px": config.size_px, "threads": config.threads}
    return model.DataSlice(set=name, source=_source(config, name), **common)


def _latents(config: Config) -> model.LatentSlice:
    masked = any(run.masked_source for run in config.train.runs.values())
    return model.LatentSlice(set="train", size_px=config.size_px, masked=masked, **config.data.latents.model_dump())


def _run(config: Config, name: str, run: model.Run) -> model.RunSlice:
    common = {"size_px": config.size_px, "threads": config.threads, "base": config.model.base}
    common |= {"device": config.train.device, "shard": config.train.shard}
    return model.RunSlice(run=name, name=config.name, seed=run.seed, settings=run, **common)


def _score(config: Config, job: model.EditSlice) -> model.ScoreSlice:
    scorers = {"clip": config.model.clip, "dino": config.model.dino, "more": config.model.more}
    common = {
        "name": config.name,
        "threads": config.threads,
        "batch": config.score.batch,
        "geneval": config.score.geneval,
    }
    return model.ScoreSlice(job=job.job, judge=judge_slice(config, job), **common, **scorers)


def judge_slice(config: Config, job: model.EditSlice) -> model.JudgeSlice:
    """Who judges one job's edits, and by which protocols of the sets that it edits."""
    sets = sets_of(job.asks)
    mine = {name: found for name, found in config.score.protocols.items() if name in sets}
    judge, rollouts = config.score.judge, config.score.rollouts
    return model.JudgeSlice(job=job.job, judge=judge, mllm=identity(config, judge), protocols=mine, rollouts=rollouts)


def judge_name(config: Config) -> str:
    """Who judges, for people."""
    name = config.score.judge
    return f"{name} ({config.mllms[name].model})" if name in config.mllms else "the scene oracle"


def identity(config: Config, name: str) -> Identity | None:
    """Which model is asked by this name; None where none is."""
    return config.mllms[name].identity if name in config.mllms else None


def endpoint(config: Config, name: str) -> bool:
    """Whether who is asked by this name is asked over the network."""
    return name in config.mllms and config.mllms[name].kind == "endpoint" and not config.mllms[name].offline


def gpus(config: Config, name: str) -> int:
    """How many GPUs who is asked by this name takes."""
    return int(name in config.mllms and config.mllms[name].device == "cuda")


def edit_gpus(job: model.EditSlice) -> int:
    """How many GPUs one edit job takes: one, if an editor of it computes on one."""
    editors, ours = job.editors.values(), job.sampler.device == "cuda"
    cuda = (e.pipeline.device == "cuda" if e.pipeline else ours and e.kind in (*WITH_BASE, "run") for e in editors)
    return int(any(cuda))


def edits_over_network(job: model.EditSlice) -> bool:
    """Whether an editor of one edit job is an endpoint."""
    return any(editor.endpoint for editor in job.editors.values())


def score_gpus(config: Config, sets: Iterable[str]) -> int:
    """How many GPUs scoring edits of these sets takes: one for GenEval's detector, if it computes on one."""
    asked = {config.data.benchmarks[name].reader for name in sets if name in config.data.benchmarks}
    return int(config.score.geneval.device == "cuda" and "geneval" in asked)


def _tables(config: Config, tables: dict[str, Any]) -> model.TablesSlice:
    return model.TablesSlice(
        name=config.name,
        seed=config.seed,
        size_px=config.size_px,
        tables=tables,
        runs=config.train.runs,
        data=config.data,
        prompts=config.prompts,
        judge=judge_name(config),
        sampler=config.edit.sampler,
        editors=config.edit.editors,
        asks=list(config.edit.asks.values()),
        shards={job: count for job, count in shards(config).items() if count > 1},
        **config.tables.model_dump(exclude={"file"}),
    )


def warn_of_other_code(config: Config) -> None:
    """Name the trainings that other code than this has made. They stand: settings rerun a job, code does not."""
    told = {name: Path(f"results/{config.name}/runs/{name}/run.json") for name in config.train.runs}
    told = {name: path for name, path in told.items() if path.exists()}
    now = provenance.code_sha() if told else None
    others = [name for name, path in told.items() if read_json(path).get("code") != now]
    if others:
        shown = ", ".join(others[:5]) + (f" and {len(others) - 5} more" if len(others) > 5 else "")
        do = "they stand; `--forcerun train_run` trains them anew"
        print(f"warning: other code than this has trained {shown}: {do}", file=sys.stderr)


def launcher(config: Config) -> str:
    """What starts a training: `madi` alone, or torchrun with a process a device, which waits for states to be written
    when it is asked to stop."""
    if config.train.launcher:
        return config.train.launcher
    count = config.train.processes
    return f"torchrun --standalone --shutdown-timeout 900 --nproc-per-node={count} -m madi" if count > 1 else "madi"


@dataclass(frozen=True)
class Fetch:
    """Something that is fetched: weights that go to `folder`, or a data set (None) from a hub or an address."""

    hub: Hub | None
    folder: str | None = None
    url: str | None = None

    @property
    def options(self) -> str:
        """How `madi data fetch` is told."""
        if self.url:
            return f"--url {quote(self.url)}"
        folder = f" --folder {quote(self.folder)}" if self.folder else ""
        files = "".join(f" --files {quote(pattern)}" for pattern in self.hub.files)
        return f"--repo {self.hub.repo} --revision {quote(self.hub.revision)}{folder}{files}"


def fetches(config: Config) -> dict[str, Fetch]:
    """All that a scale takes from a hub, by the name of its manifest."""
    found = {f"model_{name}": Fetch(hub, config.model.folders[name]) for name, hub in config.model.hub.items()}
    for name, tower in config.model.more.items():
        if tower.hub:
            found[f"tower_{name}"] = Fetch(tower.hub, tower.folder)
    for name, editor in config.edit.editors.items():
        if editor.pipeline and editor.pipeline.hub:
            found[f"editor_{name}"] = Fetch(editor.pipeline.hub, editor.pipeline.weights)
        if editor.published and editor.published.hub:
            found[f"editor_{name}"] = Fetch(editor.published.hub)
    for name in sets(config):
        published = _published(config, name).items()
        found |= {key: Fetch(one.hub, url=one.url) for key, one in published if one.hub or one.url}
    return found


def _published(config: Config, name: str) -> dict[str, Source | BenchmarkSet]:
    """Published sources of a set, by the name of their manifests."""
    source = _source(config, name)
    if source.reader == "scenes":
        return {}
    sources = getattr(source, "sources", None)
    return {f"{name}_{key}": one for key, one in sources.items()} if sources else {name: source}


def published_files(config: Config, name: str) -> dict[str, str]:
    """Where each published source of a set lies, by its own name: its path, or its fetch's manifest."""
    found = _published(config, name)
    own = {key: key.removeprefix(f"{name}_") for key in found}
    return {own[key]: one.files or f"results/{config.name}/fetched/{key}.json" for key, one in found.items()}


def _source(config: Config, name: str) -> TuneSet | BenchmarkSet:
    own = {"train": config.data.train, "validation": config.data.validation}
    return own.get(name) or config.data.benchmarks[name]


def model_files(config: Config, name: str, below: str = "") -> list[str]:
    """What a job that loads a model has as input: the files of its folder, or the manifest of one that is fetched."""
    if name in config.model.hub:
        return [f"results/{config.name}/fetched/model_{name}.json"]
    return files_in(str(Path(config.model.folders[name], below)))


def tower_files(config: Config) -> list[str]:
    """What a score job has as input for the embedding models beside the first two."""
    found = []
    for name, tower in config.model.more.items():
        found += [f"results/{config.name}/fetched/tower_{name}.json"] if tower.hub else files_in(tower.folder)
    return found


def files_in(folder: str) -> list[str]:
    """The files of a model folder, which are inputs of the jobs that load it. Its provenance tells of a time, and is
    none: equal weights rebuilt rerun nothing."""
    return [str(Path(folder, name)) for name in provenance.files_in(folder)]


def declared(config: Config) -> dict[str, Any]:
    """The content of a scale's file of table specifications, with what its grids add."""
    return grid_tables.declared(table_file(config.tables.file), config.grids)


@lru_cache
def table_file(path: str) -> dict[str, Any]:
    """The content of the file of table specifications. Errors: MadiError if it is missing or broken."""
    return configfile.read(path).content
