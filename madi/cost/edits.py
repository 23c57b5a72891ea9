"""The edit stage: every edit by who makes it, with its prefixes shared as the sampler shares them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache, lru_cache

from madi.cost import disk, model
from madi.cost.shapes import CLOSING, NEGATIVE, asked, noise, prompt, sources
from madi.cost.stages import At, Part, rated, seconds_of
from madi.cost.told import Told
from madi.edit.work import Work

# A pass of Stable Diffusion 1's network at 512 px: what is assumed of any pipeline of diffusers, by its pixels.
PIPELINE, PIPELINE_PX, PIPELINE_STEPS = 0.8e12, 512, 50
OURS = ("base", "run")


def parts(at: At) -> Iterator[Part]:
    """Of the edit stage: a job for the editors that share it, or as many as it has shards."""
    yield from by_gpus([job(at, name, batches) for name, batches in at.counts.by_job.items()])


def by_gpus(found: list[Part]) -> Iterator[Part]:
    """The jobs of one rule on GPUs, and those without."""
    for gpus in (1, 0):
        if same := [part for part in found if part.gpus == gpus]:
            yield joined(same)


def joined(same: list[Part]) -> Part:
    """The jobs of one rule that take as many GPUs."""
    first = same[0]
    sums = {name: sum(getattr(p, name) for p in same) for name in ("operations", "disk", "files", "calls", "money")}
    lists = {
        name: tuple(x for p in same for x in getattr(p, name)) for name in ("seconds", "told", "warnings", "names")
    }
    return Part(first.rule, gpus=first.gpus, cores=first.cores, asks=first.asks, **sums, **lists)


def job(at: At, name: str, batches: list[list[Work]]) -> Part:
    """One edit job, with all its shards."""
    editors, count, split = at.config.edit.editors, sum(map(len, batches)), at.shards[name]
    work: Counter[tuple[str, str]] = Counter()  # operations by (kind of work, device)
    endpoints = 0
    for works in batches:
        editor = editors[works[0].editor]
        endpoints += len(works) * (editor.kind == "endpoint")
        for key, operations in operations_of(at, works).items():
            work[key] += operations
    on = int(any(device == "cuda" for _, device in work))
    told = [
        seconds_of(
            number, at.rate(kind, device), f"{name}: {kind} on {device}", {"edits": count} | rated(at, kind, device)
        )
        for (kind, device), number in work.items()
    ]
    made = at.each("edited", count) + at.each("megapixel", count * at.megapixels)
    told.append(Told(f"{name}: pictures", made, "s", "edits x (s an edit + megapixels x s)", {"edits": count}))
    loads = loading(at, {work.editor for works in batches for work in works})
    told.append(Told(f"{name}: starts", loads, "s", "start + weights / speed of the disk", {"shards": split}))
    times = [loads + sum(one.value for one in told[:-1]) / split] * split
    scenes = {name: at.scenes(name) for name in {works[0].benchmark for works in batches}}
    size = sum(len(works) * disk.edit(at.config, scenes[works[0].benchmark]) for works in batches)
    warned = (f"edit {name}: {endpoints:,} pictures from an endpoint, whose price no config says",) * (endpoints > 0)
    return Part(
        "edit_shard",
        tuple(times),
        gpus=on,
        cores=at.config.threads,
        operations=sum(work.values()),
        disk=size,
        files=split * (2 + disk.OF_JOB),
        calls=endpoints,
        told=tuple(told),
        warnings=warned,
        names=(name,) * len(times),
    )


def loading(at: At, names: set[str]) -> float:
    """Seconds until a job has loaded what its editors need, one after the other."""
    kinds = [at.config.edit.editors[name].kind for name in names]
    heavy = sum(kind in (*OURS, "pipeline", "truth_vae") for kind in kinds)
    read = sum(kind in OURS for kind in kinds) * disk.weights(at.config.model.base, at.net) / at.gpu.disk
    return (at.each("load") if heavy else at.each("start")) + read


def operations_of(at: At, works: list[Work]) -> dict[tuple[str, str], float]:
    """Of one batch, by (kind of work, device)."""
    editor, px = at.config.edit.editors[works[0].editor], at.config.size_px
    if editor.kind in OURS:
        pauses: dict[str, list[int]] = defaultdict(list)
        for one in works:
            pauses[one.shown].append(one.pause)
        counts = [tuple(some) for some in pauses.values()]
        made = sum(ours(at, works[0].benchmark, some, editor.pauses_as == "shift") for some in counts)
        coded = len(counts) * sources(works[0].benchmark) * _encoding(at.vae, px) + len(works) * _decoding(at.vae, px)
        device = at.config.edit.sampler.device
        return {("edit", device): made, ("vae", device): coded}
    if editor.kind == "truth_vae":
        return {("vae", at.config.edit.sampler.device): len(works) * (_encoding(at.vae, px) + _decoding(at.vae, px))}
    if editor.kind == "pipeline":
        one = editor.pipeline
        passes = 2 + ("image_guidance_scale" in one.call)
        steps = one.call.get("num_inference_steps") or PIPELINE_STEPS
        return {("edit", one.device): len(works) * passes * steps * PIPELINE * (one.size_px / PIPELINE_PX) ** 2}
    return {}


def ours(at: At, benchmark: str, pauses: tuple[int, ...], shifted: bool = False) -> int:
    """The edits of one sample at several pause counts (or seeds), its prefixes run once."""
    return _ours(
        at.net, benchmark, at.config.size_px, at.config.edit.sampler.steps, (0,) * len(pauses) if shifted else pauses
    )


@cache
def _ours(net, benchmark: str, px: int, steps: int, pauses: tuple[int, ...]) -> int:
    images, total = sources(benchmark), 0
    for count in pauses:
        branches = [len(asked(benchmark, px, count)), NEGATIVE]
        branches += [len(prompt(images, px, 0))] * (images > 0)
        total += model.edit(net, branches, noise(px), steps)
    return total + model.prefixes(net, asked(benchmark, px), tuple(dict.fromkeys(pauses)), CLOSING, CLOSING)


_encoding, _decoding = lru_cache(model.encoding), lru_cache(model.decoding)
