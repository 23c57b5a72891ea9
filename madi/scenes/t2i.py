"""Text to image: full captions, and short prompts of GenEval's six tags with the official metadata form."""

from __future__ import annotations

import math
from dataclasses import replace
from random import Random

from madi.scenes import words
from madi.scenes.edits import scene_of, thing_of
from madi.scenes.kinds import Item, start
from madi.scenes.splits import until
from madi.scenes.world import COLOURS, SHAPES, Scene

GENEVAL_TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
RELATIONS = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}


def captions(rng: Random, split: str, identity: str, index: int) -> list[Item]:
    """Text to image: a full caption, or a short prompt in GenEval's manner."""
    if index % 2:
        return genevals(rng, split, identity, index // 2, kind="t2i")
    target = start(rng, split)
    return [_t2i("t2i", split, identity, target, words.caption(target), None)]


def _t2i(kind, split, identity, target, prompt, rule) -> Item:
    task = rule["tag"] if rule else "caption"
    caption = words.caption(target)
    return Item(identity, split, kind, task, 1, [], target, [], prompt, None, caption, [], identity, geneval=rule)


def genevals(rng: Random, split: str, identity: str, index: int, kind: str = "geneval") -> list[Item]:
    """A prompt of one of GenEval's six tags, with the official metadata form and one picture that fits it."""
    tag = GENEVAL_TAGS[index % len(GENEVAL_TAGS)]

    def make():
        rule, prompt, scene = _geneval(tag, rng)
        return (scene, (rule, prompt))

    target, (rule, prompt) = until(make, split)
    return [_t2i(kind, split, identity, target, prompt, rule)]


def _geneval(tag: str, rng: Random) -> tuple[dict, str, Scene]:
    first, second = rng.sample(SHAPES, 2)
    count = rng.randint(2, 4) if tag == "counting" else 1
    include = [{"class": first, "count": count}]
    exclude = [{"class": first, "count": count + 1}] if tag == "counting" else []
    text = words.count_of(first, count)
    cells = rng.sample(range(9), count)
    if tag in ("colors", "color_attr"):
        include[0]["color"] = rng.choice(COLOURS)
        text = words.an(f"{include[0]['color']} {first}")
    if tag in ("two_object", "position", "color_attr"):
        include.append({"class": second, "count": 1})
        cells = rng.sample(range(9), 2)
    if tag == "two_object":
        text += f" and a {second}"
    if tag == "color_attr":
        include[1]["color"] = rng.choice([c for c in COLOURS if c != include[0]["color"]])
        text += " and " + words.an(f"{include[1]['color']} {second}")
    if tag == "position":
        relation = rng.choice(list(RELATIONS))
        include[1]["position"] = [relation, 0]
        text = f"a {second} {relation} a {first}"
        cells = _cells_in(relation, rng)
    rule = {"tag": tag, "include": include, "exclude": exclude}
    return rule, f"a picture of {text}", _fitting(include, cells, rng)


def _cells_in(relation: str, rng: Random) -> list[int]:
    """Cells (first, second) with the second straight `relation` of the first."""
    down, right = RELATIONS[relation]
    fits = [(a, b) for a in range(9) for b in range(9) if a != b and _straight(a, b, down, right)]
    return list(rng.choice(fits))


def _straight(a: int, b: int, down: int, right: int) -> bool:
    rows, columns = b // 3 - a // 3, b % 3 - a % 3
    sign = (math.copysign(1, rows) if rows else 0, math.copysign(1, columns) if columns else 0)
    return sign == (down, right)


def _fitting(include: list[dict], cells: list[int], rng: Random) -> Scene:
    scene = replace(scene_of(rng), things=())
    wanted = [entry for entry in include for _ in range(entry["count"])]
    for entry, cell in zip(wanted, cells):
        thing = replace(thing_of(rng, cell), shape=entry["class"], letter=None)
        scene = scene.put(replace(thing, colour=entry.get("color", thing.colour)))
    return scene
