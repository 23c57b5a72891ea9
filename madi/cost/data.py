"""The data and prompts stages: samples, latents, plans and questions."""

from __future__ import annotations

from collections.abc import Iterator

from madi import outside, settle
from madi.cost import calls, disk, model
from madi.cost.shapes import region_share, sources
from madi.cost.stages import At, Part, rated, seconds_of
from madi.cost.told import Told


def parts(at: At) -> Iterator[Part]:
    """Of the data stage."""
    if fetched := outside.fetches(at.config):
        note = Told(
            "fetching", 0, "s", "not estimated: time, disk and price of what hubs send", {"things": len(fetched)}
        )
        yield Part("data_fetch", (0.0,) * len(fetched), files=4 * len(fetched), told=(note,))
    yield preparing(at)
    yield latents(at)
    index = 300 * images(at)  # bytes of a row, with its checksum
    read = images(at) * disk.latent(at.vae, at.config.size_px, at.config.data.latents.dtype) / at.cpu.disk
    yield Part("data_check", ((at.each("start") + at.each("load")) / 2 + read,), disk=index, files=2 + disk.OF_JOB - 1)


def preparing(at: At) -> Part:
    """Every set's samples: scenes are drawn, published pictures decoded and hashed."""
    times, size, files, told = [], 0.0, 0, []
    for name in outside.sets(at.config):
        count, pictures = at.counts.samples(name), at.counts.pictures(name)
        if at.scenes(name):
            work, how = at.each("sample", count), {"s a sample": at.cpu.seconds["sample"]}
        else:
            megapixels = disk.PUBLISHED_PX**2 / 1e6
            work, how = at.each("megapixel", pictures * megapixels), {"s a megapixel": at.cpu.seconds["megapixel"]}
        times.append(at.each("start") + work)
        told.append(
            Told(f"prepare {name}", times[-1], "s", "start + samples", {"samples": count, "pictures": pictures} | how)
        )
        more = disk.samples(pictures, at.scenes(name), at.config.size_px)
        size, files = size + more[0], files + more[1]
    return Part("data_prepare", tuple(times), disk=size, files=files, told=tuple(told))


def images(at: At) -> float:
    """Pictures that trainings read as latents: sources, targets, masked sources."""
    masked = any(run.masked_source for run in at.config.train.runs.values())
    return at.counts.pictures("train") + masked * region_share(at.config) * at.config.data.train.edits


def latents(at: At) -> Part:
    """The training set through the VAE."""
    config, shards, device = at.config, at.config.data.latents.shards, at.config.data.latents.device
    each, count = model.encoding(at.vae, config.size_px), images(at)
    threads = 1 / config.threads if device == "cpu" else 1  # it takes one thread whatever the config says
    rate = at.rate("vae", device) * threads
    how = {"pictures": count, "operations a picture": each, "px": config.size_px} | rated(at, "vae", device)
    made = seconds_of(count * each, rate, "latents", how)
    other = at.each("megapixel", count * at.megapixels)
    size = disk.latent(at.vae, config.size_px, config.data.latents.dtype)
    held = Told("latents", count * size, "bytes", "pictures x bytes of one", {"pictures": count, "bytes of one": size})
    return Part(
        "data_latents",
        (at.each("load") + (made.value + other) / shards,) * shards,
        gpus=int(device == "cuda"),
        operations=count * each,
        disk=count * size,
        files=shards * (2 + disk.OF_JOB - 1),
        told=(made, held),
    )


def prompts(at: At) -> Iterator[Part]:
    """Plans of training edits, and questions about a sample of each set that is edited."""
    plans = at.config.prompts.plans
    asked = {("plans", "train"): at.counts.planned}
    yield asking(at, "prompts_plan", plans.provider, [asked], plans.shards, 250)
    yield Part("prompts_join", (at.each("start"),), files=disk.OF_JOB)
    sets = settle.sets_of(at.config.edit.asks.values())
    wanted = [{("questions", name): at.counts.samples(name) * (sources(name) > 0)} for name in sets]
    yield asking(at, "prompts_questions", at.config.prompts.questions.provider, wanted, 1, 1500)


def asking(at: At, rule: str, model_name: str, jobs: list[dict], shards: int, size: int) -> Part:
    """A rule whose jobs ask, each split into shards. size: bytes of what one answer becomes."""
    times, warned, told, found = [], [], [], []
    for job in jobs:
        whole, count = calls.of(at.config, model_name, job), sum(job.values())
        one = calls.of(at.config, model_name, {key: round(number / shards) for key, number in job.items()})
        times += [at.each("start") + at.each("row", count / shards) + one.seconds] * shards
        warned += calls.over(at.config, model_name, f"{rule} {'/'.join(key[1] for key in job)}", one)
        told += whole.told
        found.append((whole, count))
    kept = sum(whole.count for whole, _ in found) * disk.ASKED
    return Part(
        rule,
        tuple(times),
        gpus=settle.gpus(at.config, model_name),
        disk=sum(count for _, count in found) * size + kept,
        files=len(times) * (1 + disk.OF_JOB),
        calls=sum(whole.count for whole, _ in found),
        money=sum(whole.money for whole, _ in found),
        told=tuple(told),
        warnings=tuple(warned),
    )
