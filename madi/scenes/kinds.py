"""Kinds of edits: one edit, compounds of several ops, sessions of turns, and two pictures.

Every scene of an item belongs to the item's split.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from madi.scenes import words
from madi.scenes.edits import OPS, TASK_OF, TASKS, apply, draw, scene_of
from madi.scenes.splits import HELD_OUT_COMPOUNDS, split_of, until
from madi.scenes.world import Scene

MULTI = ("add", "background", "style", "light", "recolor")
SESSION = ("add", "remove", "recolor", "reshape", "letter", "background")


@dataclass
class Item:
    """One question put to an editor, with all that is known about its answer."""

    item_id: str
    split: str
    kind: str
    task: str
    level: int
    sources: list[Scene]
    target: Scene
    ops: list[dict]
    instruction: str
    source_caption: str | None
    target_caption: str
    plan: list[str]
    group: str
    target_caption_local: str | None = None
    turn: int | None = None
    follows: str | None = None
    geneval: dict | None = None
    scenes: list[Scene] = field(default_factory=list)  # what each op was applied to


def step(scene: Scene, kinds, rng: Random, split: str) -> tuple[Scene, dict]:
    """One op of the given kinds and its target in the split; RuntimeError where a few draws find none."""

    def make():
        op = draw(scene, rng.choice(kinds), rng)
        if op is None:
            return None
        target = apply(scene, op, rng)
        return (target, op) if target != scene else None

    return until(make, split, 30)


def start(rng: Random, split: str) -> Scene:
    """A source scene of the split."""
    return until(lambda: (scene_of(rng), None), split)[0]


def _item(kind, split, identity, rng, sources, scenes, target, ops, instruction, **more) -> Item:
    return Item(
        item_id=identity,
        split=split,
        kind=kind,
        task=TASK_OF[ops[0]["op"]],
        level=len(ops),
        sources=sources,
        target=target,
        ops=ops,
        instruction=instruction,
        source_caption=words.caption(sources[0]),
        target_caption=words.caption(target),
        plan=words.plan(scenes, ops, rng),
        group=more.pop("group", identity),
        scenes=scenes,
        **more,
    )


def register(split: str) -> str:
    """The manner of speaking of a split."""
    return "base" if split == "base" else "tune"


def edits(rng: Random, split: str, identity: str, index: int) -> list[Item]:
    """One edit of one of the eight tasks, each in turn."""
    kinds = OPS[TASKS[index % len(TASKS)]]
    while True:  # a scene with no place for the op, or no target in the split, is drawn anew
        source = start(rng, split)
        try:
            target, op = step(source, kinds, rng, split)
        except RuntimeError:
            continue
        instruction = words.instruct(source, op, rng, register(split))
        return [_item("edit", split, identity, rng, [source], [source], target, [op], instruction)]


def chain(rng: Random, split: str, kinds, length: int) -> tuple[list[Scene], list[dict]]:
    """A source and `length` ops on it one after another: (the length + 1 scenes, the ops). No cell is touched twice."""
    while True:
        scenes, ops, touched = [start(rng, split)], [], set()
        try:
            while len(ops) < length:
                target, op = step(scenes[-1], kinds, rng, split)
                place = op.get("cell", op["op"])
                if place is None or place in touched or _held_out(ops, op, split):
                    if rng.random() < 0.1:
                        raise RuntimeError
                    continue
                touched.add(place)
                scenes.append(target)
                ops.append(op)
            return scenes, ops
        except RuntimeError:
            continue


def _held_out(ops: list[dict], op: dict, split: str) -> bool:
    names = {o["op"] for o in ops} | {op["op"]}
    return split != "bench" and any(pair <= names for pair in HELD_OUT_COMPOUNDS)


def compounds(rng: Random, split: str, identity: str, index: int, levels: int = 4) -> list[Item]:
    """One source at complexity 1..levels: level c asks for the first c ops in one instruction (Complex-Edit)."""
    scenes, ops = chain(rng, split, [op for group in OPS.values() for op in group], levels)
    phrases = [words.instruct(scene, op, rng, register(split)) for scene, op in zip(scenes, ops)]
    return [
        _item(
            "compound",
            split,
            f"{identity}-{c}",
            rng,
            scenes[:1],
            scenes[:c],
            scenes[c],
            ops[:c],
            " and ".join(phrases[:c]),
            group=identity,
        )
        for c in range(1, levels + 1)
    ]


def sessions(rng: Random, split: str, identity: str, index: int, turns: int = 3) -> list[Item]:
    """One to three turns, each on the one before's target (MagicBrush)."""
    scenes, ops = chain(rng, split, SESSION, 1 + index % turns)
    return [
        _item(
            "session",
            split,
            f"{identity}-{k + 1}",
            rng,
            [source],
            [source],
            target,
            [op],
            words.instruct(source, op, rng, register(split)),
            group=identity,
            turn=k + 1,
            follows=f"{identity}-{k}" if k else None,
            target_caption_local=words.local_caption(source, target),
        )
        for k, (source, target, op) in enumerate(zip(scenes, scenes[1:], ops))
    ]


def multis(rng: Random, split: str, identity: str, index: int) -> list[Item]:
    """Two pictures, the second lending something to the first (in the manner of IDEA-Bench)."""
    while True:
        source, lender = start(rng, split), start(rng, split)
        drawn = _lend(source, lender, MULTI[index % len(MULTI)], rng)
        if drawn is None:
            continue
        op, instruction = drawn
        target = apply(source, op, rng)
        if target != source and split_of(target) == split:
            return [_item("multi", split, identity, rng, [source, lender], [source], target, [op], instruction)]


def _lend(source: Scene, lender: Scene, kind: str, rng: Random) -> tuple[dict, str] | None:
    if kind in ("background", "style", "light"):
        if getattr(source, kind) == getattr(lender, kind):
            return None
        return {"op": kind, kind: getattr(lender, kind)}, f"give the first picture the {kind} of the second"
    lent = rng.choice(lender.things)
    the = f"the {lent.shape}"
    if sum(thing.shape == lent.shape for thing in lender.things) > 1:
        return None
    if kind == "add":
        if any(thing.shape == lent.shape for thing in source.things) or len(source.things) > 4 or lent.letter:
            return None
        op = {"op": "add", "shape": lent.shape, "colour": lent.colour, "size": lent.size, "cell": None}
        return op, f"add {the} of the second picture to the first"
    thing = rng.choice(source.things)
    if thing.colour == lent.colour:
        return None
    op = {"op": "recolor", "cell": thing.cell, "colour": lent.colour}
    return op, f"make {words.refer(source, thing.cell, rng)} the color of {the} in the second picture"
