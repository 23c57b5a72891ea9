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
CROPS = (94 + 2 * 100) / 553  # objects a picture whose colour is asked: GenEval's colors and color_attr prompts
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
    """Every number of one job's edits. Pictures that edits share are embedded once; they are decoded and resized by as
    many threads as the job has, while the models compute."""
    config, split = at.config, at.shards[job]
    count, device = sum(edits.values()), config.score.device
    seen = embedded(at, job)
    embeds = sum(seen[kind] * operations for kind, operations in towers(at))
    told = [seconds_of(embeds, at.rate("embed", device), f"{job}: embedding", dict(seen) | rated(at, "embed", device))]
    megapixels = seen["pictures"] * at.megapixels * (1 + len(config.model.more))
    own = at.each("scored", count) + at.each("megapixel", megapixels) / config.threads
    how = {"edits": count, "s an edit": at.cpu.seconds["scored"], "megapixels": megapixels, "threads": config.threads}
    told.append(Told(f"{job}: pixels", own, "s", "edits x s an edit + megapixels x models x s / threads", how))
    detected, detecting = detection(at, edits["geneval"])
    if detected:
        on = config.score.geneval.device or device
        how = {"edits": edits["geneval"]} | rated(at, "embed", on)
        told.append(seconds_of(detected, at.rate("embed", on), f"{job}: detector", how))
    return Part(
        "score_shard",
        (at.each("load") + sum(one.value for one in told) / split,) * split,
        gpus=int("cuda" in (device, detecting)),
        cores=config.threads,
        operations=embeds + detected,
        files=split * (1 + disk.OF_JOB),
        told=tuple(told),
        names=(job,) * split,
    )


def detection(at: At, edits: int) -> tuple[float, str]:
    """(operations, device) of GenEval's detector and of the CLIP that tells colours; ("" where nothing is detected)."""
    found = at.config.score.geneval
    if not edits or found.detector != "mask2former":
        return 0.0, ""
    named = at.config.model.more.get(found.colours or "")
    folder, repo = found.colours or at.config.model.clip, named.hub.repo if named and named.hub else ""
    picture, _ = clip_of(named.folder if named else folder, repo)
    return edits * (DETECTOR + CROPS * model.embedding(picture)), found.device or at.config.score.device


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
