"""Which jobs a scale comes to, and the slice of it that each job reads.

The rules write a slice to `results/<name>/<part>/config.json` from Snakemake's params, so a slice is rewritten, and
the jobs behind it rerun, when its own content changes. Slices hold no file that a rule makes: those are the rules'.
"""

import sys
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from madi import config as model
from madi import configfile, grid_tables, outside, provenance
from madi import jobs as edit_jobs
from madi.config import Config
from madi.editors import Editor, EditorSlice
from madi.mllms import Identity
from madi.settings import Ask, GenEval
from madi.shards import read_json

WITH_BASE = {"base", "truth_vae"}  # kinds of editor that load the base's weights


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
    """An editor as its job reads it: published edits, if it fetches them, are where their fetch's manifest says; prices
    are in the slice of all models, since they change no edit."""
    own = editor.slice
    if own.endpoint:
        return own.model_copy(update={"endpoint": own.endpoint.unpriced})
    if not own.published or not own.published.hub:
        return own
    path = f"results/{scale}/fetched/editor_{name}.json"
    return own.model_copy(update={"published": own.published.model_copy(update={"path": path, "hub": None})})


def needs_base(job: model.EditSlice) -> bool:
    """Whether one edit job loads the base's own weights."""
    return any(editor.kind in WITH_BASE for editor in job.editors.values())


def slices(config: Config, tables: dict[str, Any]) -> dict[str, str]:
    """Every slice as JSON, by the folder under `results/<name>/` that its job writes to.

    tables: the content of the file of table specifications.
    """
    about = {"name": config.name, "seed": config.seed}
    parts: dict[str, model.Part] = {f"data/{name}": _data(config, name) for name in outside.sets(config)}
    parts["data/train/latents"] = _latents(config)
    plans, provider = config.prompts.plans, config.prompts.questions.provider
    spending = {name: one.endpoint.spending for name, one in config.edit.editors.items() if one.endpoint}
    if config.mllms or spending:
        parts["mllms"] = model.MllmsSlice(mllms=config.mllms, editors=spending)
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
    return model.DataSlice(set=name, source=outside.source(config, name), **common)


def _latents(config: Config) -> model.LatentSlice:
    masked = any(run.masked_source for run in config.train.runs.values())
    return model.LatentSlice(set="train", size_px=config.size_px, masked=masked, **config.data.latents.model_dump())


def _run(config: Config, name: str, run: model.Run) -> model.RunSlice:
    common = {"size_px": config.size_px, "threads": config.threads, "base": config.model.base}
    common |= {"device": config.train.device, "shard": config.train.shard}
    return model.RunSlice(run=name, name=config.name, seed=run.seed, settings=run, **common)


def _score(config: Config, job: model.EditSlice) -> model.ScoreSlice:
    scorers = {"clip": config.model.clip, "dino": config.model.dino, "more": config.model.more}
    common = {"name": config.name, "threads": config.threads, "batch": config.score.batch}
    common |= {"geneval": geneval(config), "device": config.score.device}
    return model.ScoreSlice(job=job.job, judge=judge_slice(config, job), **common, **scorers)


def geneval(config: Config) -> GenEval:
    """What decides GenEval's rule, with the CLIP for colours as a folder."""
    found = config.score.geneval
    if found.colours not in config.model.more:
        return found
    return found.model_copy(update={"colours": config.model.more[found.colours].folder})


def judge_slice(config: Config, job: model.EditSlice) -> model.JudgeSlice:
    """Who judges one job's edits, and by which protocols of the sets that it edits."""
    sets = sets_of(job.asks)
    mine = {name: found for name, found in config.score.protocols.items() if name in sets}
    asked, score = {protocol for found in mine.values() for protocol in found}, config.score
    own = {
        name: {protocol: value for protocol, value in getattr(score, name).items() if protocol in asked}
        for name in ("rollouts_of", "temperature_of")
    }
    who = {"judge": score.judge, "mllm": identity(config, score.judge)}
    return model.JudgeSlice(job=job.job, **who, protocols=mine, rollouts=score.rollouts, **own)


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
    """How many GPUs scoring edits of these sets takes: one for the embedding models, or for GenEval's detector."""
    asked = {config.data.benchmarks[name].reader for name in sets if name in config.data.benchmarks}
    return int(config.score.device == "cuda" or config.score.geneval.device == "cuda" and "geneval" in asked)


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


def declared(config: Config) -> dict[str, Any]:
    """The content of a preset's file of table specifications: with what its sweeps add, and without the blocks of
    protocols that no benchmark is judged by."""
    tables = grid_tables.declared(table_file(config.tables.file), config.grids)
    used = {protocol for protocols in config.score.protocols.values() for protocol in protocols}
    return tables | {kind: _judged(tables[kind], used) for kind in ("tables", "figures") if kind in tables}


def _judged(tables: Any, used: set[str]) -> Any:
    """Tables less their blocks of other protocols; what is no table is left for the specification's own check."""
    if not isinstance(tables, dict):
        return tables
    kept = {}
    for name, table in tables.items():
        blocks = table.get("blocks") if isinstance(table, dict) else None
        if isinstance(blocks, dict):
            shown = {
                key: block
                for key, block in blocks.items()
                if not isinstance(block, dict) or block.get("protocol") is None or block["protocol"] in used
            }
            table = table | {"blocks": shown}
        kept[name] = table
    return kept


@lru_cache
def table_file(path: str) -> dict[str, Any]:
    """The content of the file of table specifications. Errors: MadiError if it is missing or broken."""
    return configfile.read(path).content
