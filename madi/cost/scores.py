"""The score stage: what judges are asked, and what the embedding models see."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from madi import settle
from madi.cost import calls, disk, model
from madi.cost.edits import by_gpus, joined
from madi.cost.shapes import clip_of, dino_of, sources
from madi.cost.stages import At, Part, rated, seconds_of
from madi.cost.told import Told

DETECTOR = 2 * 313e9  # Mask2Former on Swin-S, a picture: its paper's multiply-adds (arXiv 2112.01527, Table 1)
TEXTS = 2  # captions of a sample


def parts(at: At) -> Iterator[Part]:
    """Of the score stage."""
    by_job: dict[str, Counter[str]] = defaultdict(Counter)
    for (job, benchmark), count in at.counts.edits.items():
        by_job[job][benchmark] += count
    yield joined([judging(at, job, edits) for job, edits in by_job.items()])
    yield from by_gpus([scoring(at, job, edits) for job, edits in by_job.items()])


def judging(at: At, job: str, edits: Counter[str]) -> Part:
    """The answers about one job's edits."""
    judge, split = at.config.score.judge, at.shards[job]
    asked = {(kind, name): n for (of, name, kind), n in at.counts.answers.items() if of == job}
    whole = calls.of(at.config, judge, asked)
    one = calls.of(at.config, judge, {key: round(number / split) for key, number in asked.items()})
    told = list(whole.told)
    own = 0.0
    if judge not in at.config.mllms:  # the oracle reads each picture once
        read = sum(n for name, n in edits.items() if at.scenes(name) and sources(name))
        own = at.each("oracle", split) + at.each("verdict", read) + at.each("row", sum(asked.values()))
        how = {
            "edits": read,
            "s until the first": at.cpu.seconds["oracle"],
            "s an edit": at.cpu.seconds["verdict"],
            "answers": sum(asked.values()),
        }
        told.append(Told(f"{job}: the oracle", own, "s", "start + edits x s an edit + answers x s a row", how))
    return Part(
        "score_judge",
        (at.each("start") + own / split + one.seconds,) * split,
        gpus=settle.gpus(at.config, judge),
        disk=whole.count * disk.ASKED,
        files=split * (1 + disk.OF_JOB) + split * (whole.count > 0),
        calls=whole.count,
        money=whole.money,
        told=tuple(told),
        warnings=tuple(calls.over(at.config, judge, f"score_judge {job}", one)),
        names=(job,) * split,
        asks=settle.endpoint(at.config, judge),
    )


def scoring(at: At, job: str, edits: Counter[str]) -> Part:
    """Every number of one job's edits. Pictures that edits share are embedded once."""
    config, split = at.config, at.shards[job]
    count = sum(edits.values())
    seen = embedded(at, job)
    embeds = sum(seen[kind] * operations for kind, operations in towers(at))
    told = [seconds_of(embeds, at.rate("embed", "cpu"), f"{job}: embedding", dict(seen) | rated(at, "embed", "cpu"))]
    megapixels = seen["pictures"] * at.megapixels
    own = at.each("scored", count) + at.each("megapixel", megapixels * (1 + len(config.model.more)))
    how = {"edits": count, "s an edit": at.cpu.seconds["scored"], "megapixels": megapixels}
    told.append(Told(f"{job}: pixels", own, "s", "edits x s an edit + megapixels x embedding models x s", how))
    detected = edits["geneval"] * (config.score.geneval.detector == "mask2former")
    device = config.score.geneval.device
    if detected:
        how = {"edits": detected} | rated(at, "embed", device)
        told.append(seconds_of(detected * DETECTOR, at.rate("embed", device), f"{job}: detector", how))
    return Part(
        "score_shard",
        (at.each("load") + sum(one.value for one in told) / split,) * split,
        gpus=int(bool(detected) and device == "cuda"),
        cores=config.threads,
        operations=embeds + detected * DETECTOR,
        files=split * (1 + disk.OF_JOB),
        told=tuple(told),
        names=(job,) * split,
    )


def embedded(at: At, job: str) -> dict[str, int]:
    """How many pictures and texts one job's embedding models see; text to image has none that DINO sees."""
    shown: dict[str, set[str]] = defaultdict(set)
    made: Counter[str] = Counter()
    for works in at.counts.by_job[job]:
        made[works[0].benchmark] += len(works)
        shown[works[0].benchmark].update(work.sample.id for work in works)
    held = {name: len(ids) * 2 * (sources(name) > 0) for name, ids in shown.items()}
    pictures = sum(made.values()) + sum(held.values())
    faithful = sum(made[name] + held[name] for name in made if sources(name))
    return {"pictures": pictures, "faithful": faithful, "texts": TEXTS * sum(map(len, shown.values()))}


def towers(at: At) -> Iterator[tuple[str, float]]:
    """(what it sees, operations a one) of each embedding model."""
    weights = at.config.model
    repos = {name: hub.repo for name, hub in weights.hub.items()}
    clips = [(weights.clip, repos.get("clip", ""))]
    dinos = [(weights.dino, repos.get("dino", ""))]
    for tower in weights.more.values():
        (clips if tower.kind == "clip" else dinos).append((tower.folder, tower.hub.repo if tower.hub else ""))
    for folder, repo in clips:
        picture, text = clip_of(folder, repo)
        yield "pictures", model.embedding(picture)
        yield "texts", model.embedding(text)
    for folder, repo in dinos:
        yield "faithful", model.embedding(dino_of(folder, repo))
