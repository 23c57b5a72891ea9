"""Reads the scene world: items of `madi.scenes.samples` become Sample rows with their pictures as PNG bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

from madi import images
from madi.config import DataSlice
from madi.scenes.kinds import Item
from madi.scenes.render import region, render
from madi.scenes.samples import items

SPLIT = {"train": "tune", "validation": "validation"}  # every other set is a benchmark
KIND = {"emu_edit": "edit", "magicbrush": "session", "complex_edit": "compound", "idea_bench": "multi"}
KIND |= {"geneval": "geneval"}
MIXED_IN = {"compound": 0.1, "multi": 0.1}  # shares of the edits to learn from: the other forms that benchmarks ask for

# IDEA-Bench in scenes: six yes/no items in three levels of two, each a dimension and the least (0..10) that is a yes.
IDEA_ITEMS = (
    (1, "IF", 2.5, "Was anything of what is asked done?"),
    (1, "IDP", 2.5, "Is it still the first picture?"),
    (2, "IF", 5.0, "Is most of what is asked done?"),
    (2, "IDP", 7.0, "Is most of the rest as it was?"),
    (3, "IF", 9.0, "Is all of what is asked done?"),
    (3, "PQ", 7.0, "Is the picture clean?"),
)


def read(job: DataSlice) -> Iterator[dict]:
    """Sample rows of a set, the same for the same slice; pictures are `job.size_px` px."""
    for index, item in enumerate(_items(job)):
        yield row(item, job, index)


def _items(job: DataSlice) -> Iterator[Item]:
    if job.set not in SPLIT:
        return _benchmark(job)
    split, edits = SPLIT[job.set], job.source.edits
    mixed = {kind: int(edits * share) for kind, share in MIXED_IN.items()}
    counts = {"edit": edits - sum(mixed.values()), **mixed, "t2i": job.source.t2i}
    return chain.from_iterable(items(kind, split, count, job.seed) for kind, count in counts.items())


def _benchmark(job: DataSlice) -> Iterator[Item]:
    kind, levels = KIND[job.set], job.source.levels
    if kind == "compound" and levels is not None:
        return items(kind, "bench", job.source.samples * levels, job.seed, levels=levels)
    return items(kind, "bench", job.source.samples, job.seed)


def row(item: Item, job: DataSlice, index: int) -> dict:
    """The Sample row of an item."""
    sources = [images.picture(render(scene, job.size_px)) for scene in item.sources]
    pixels = render(item.target, job.size_px)
    target = images.picture(pixels)
    first = render(item.sources[0], job.size_px) if item.sources else pixels
    return {
        "sample_id": item.item_id,
        "set": job.set,
        "split": item.split,
        "group_id": item.group,
        "task": item.task,
        "complexity": item.level if item.kind == "compound" else None,
        "turn": item.turn,
        "follows": item.follows,
        "sources": sources,
        "target": target,
        "region": images.picture(region(item.sources[0], item.target, job.size_px)) if _has_region(item, job) else None,
        "instruction": item.instruction,
        "source_caption": item.source_caption,
        "target_caption": item.target_caption,
        "target_caption_local": item.target_caption_local,
        "spec": spec(item),
        "phash": images.phash(first),
        "sha256": images.sha256(b"".join(picture["bytes"] for picture in [*sources, target])),
        "origin": {"file": "scenes", "row": index, "revision": f"seed {job.seed}"},
    }


def _has_region(item: Item, job: DataSlice) -> bool:
    # As in the real sets: triplets with a mask to learn from, and MagicBrush's turns.
    return item.kind == "session" or (item.kind == "edit" and job.set in SPLIT)


def spec(item: Item) -> str:
    """The truth of an item as JSON: scenes, ops, plan, and what its benchmark asks of a picture."""
    truth = {
        "sources": [scene.to_dict() for scene in item.sources],
        "target": item.target.to_dict(),
        "ops": item.ops,
        "plan": item.plan,
    }
    if item.geneval is not None:
        truth["geneval"] = item.geneval
    if item.kind == "multi":
        names = ("level", "tag", "least", "question")
        truth["items"] = [dict(zip(names, idea_item, strict=True)) for idea_item in IDEA_ITEMS]
    return json.dumps(truth, sort_keys=True, separators=(",", ":"))
