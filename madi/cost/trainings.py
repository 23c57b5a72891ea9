"""The train stage: every run's steps, its looks at validation edits, its states and weights."""

from __future__ import annotations

from collections.abc import Iterator

from madi.config import Config
from madi.cost import disk, model
from madi.cost.shapes import NEGATIVE, asked, noise, prompt, stream
from madi.cost.stages import At, Part, rated
from madi.cost.told import Told
from madi.settings import Run

MOVED = 28  # bytes of memory that an update reads and writes a number: weight, gradient, two moments in float32


def parts(at: At) -> Iterator[Part]:
    """Of the train stage: the runs, and the picture of what MAgD does."""
    config = at.config
    runs = [(name, run, steps(at, run)) for name, run in config.train.runs.items()]
    numbers, kept = model.parameters(at.net), disk.weights(config.model.base, at.net)
    told, times = [], []
    for name, run, (operations, mean) in runs:
        looks = validation(at, run)
        mine = list(explained(at, name, run, operations, mean, looks))
        told += mine
        times.append(sum(one.value for one in mine if one.unit == "s"))
    states = max(run.keep_states for _, run, _ in runs) * disk.STATE * numbers if runs else 0.0
    note = {
        "numbers": numbers,
        "bytes a number": disk.STATE,
        "keep_states": max([r.keep_states for _, r, _ in runs] or [0]),
    }
    told.append(
        Told("states", states, "bytes", "keep_states x bytes a number x numbers; a run's, gone when it is done", note)
    )
    pictures = sum(len(looks_of(run)) for _, run, _ in runs)
    yield Part(
        "train_run",
        tuple(times),
        gpus=config.train.processes * (config.train.device == "cuda"),
        cores=config.threads * config.train.processes,
        operations=sum(operations for _, _, (operations, _) in runs),
        disk=len(runs) * kept + pictures * 1e5 + states,
        files=len(runs) * (disk.OF_RUN + disk.OF_JOB) + pictures,
        told=tuple(told),
        warnings=tuple(long_goes(config, [name for name, _, _ in runs], times)),
    )
    if any(run.magd for run in config.train.runs.values()):
        yield Part("train_figure", (at.each("load"),), files=disk.OF_JOB)


def steps(at: At, run: Run) -> tuple[float, float]:
    """Operations of a run's steps, and of an average sample."""
    each = model.training(at.net, stream(at.config, run), noise(at.config.size_px), run.checkpoint_blocks)
    return run.steps * run.batch * each, each


def looks_of(run: Run) -> list[int]:
    """The steps after which a run edits validation samples."""
    every = run.validate_edits.every if run.validate_edits else run.steps + 1
    return sorted({*range(every, run.steps + 1, every), *([run.steps] if run.validate_edits else [])})


def validation(at: At, run: Run) -> float:
    """Operations of all its validation edits."""
    if run.validate_edits is None:
        return 0.0
    px = at.config.size_px
    whole, bare = asked("validation", px), prompt(1, px, 0)
    how = run.validate_edits
    one = model.edit(at.net, [len(whole), len(bare), NEGATIVE], noise(px), how.steps) + model.prefix(at.net, whole)
    return len(looks_of(run)) * how.samples * one


def explained(at: At, name: str, run: Run, operations: float, mean: float, looks: float) -> Iterator[Told]:
    """The times of a run, each with what it is made of."""
    train, px = at.config.train, at.config.size_px
    rate = at.rate("train", train.device, train.processes)
    shares = {
        f"share, {kind}": f"{share:.3f} of {len(of)} + 1 + {noise(px)} tokens"
        for kind, share, of in stream(at.config, run)
    }
    how = rated(at, "train", train.device, train.processes) | shares
    passes = "forward, backward" + ", forward again" * run.checkpoint_blocks
    inputs = {"steps": run.steps, "batch": run.batch, f"operations a sample ({passes})": mean} | how
    yield Told(
        f"{name}: steps", operations / rate, "s", "steps x batch x operations / (peak x share x devices)", inputs
    )
    divided = train.processes if train.shard else 1
    bytes_ = MOVED * model.parameters(at.net) / divided
    moved = {"steps": run.steps, "bytes a step": bytes_, "bytes a second": at.on(train.device).memory}
    yield Told(f"{name}: updates", run.steps * bytes_ / at.on(train.device).memory, "s", "steps x bytes / speed", moved)
    if looks:
        one = at.rate("edit", train.device)
        told = {"looks": len(looks_of(run)), "operations": looks} | rated(at, "edit", train.device)
        yield Told(f"{name}: validation", looks / one, "s", "operations / (peak x share), on one device", told)
    loading = disk.weights(at.config.model.base, at.net) / at.on(train.device).disk
    saving = run.steps // run.save_every * disk.STATE * model.parameters(at.net) / at.on(train.device).disk
    ends = {"load": at.each("load"), "weights": loading, "states": saving}
    yield Told(f"{name}: start and states", sum(ends.values()), "s", "start + weights read + states written", ends)


def long_goes(config: Config, names: list[str], times: list[float]) -> Iterator[str]:
    """How often trainings are to be started anew."""
    limit = 0.95 * 60 * config.train.minutes
    goes = {name: -(-time // limit) for name, time in zip(names, times)}
    if many := {name: int(count) for name, count in goes.items() if count > 1}:
        most = max(many.values())
        yield (
            f"train_run: {len(many)} runs are longer than a go of {config.train.minutes} minutes, up to {most} goes: "
            f"`--retries {most - 1}` at the least"
        )
