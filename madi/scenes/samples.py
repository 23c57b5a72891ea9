"""Items: scenes with an instruction and a truth, drawn without end by kind, split and seed.

A scene belongs to one split, by the hash of its canonical form, and every scene of an item belongs to the item's
split: no benchmark picture, source or target, can have been trained on. Some shape-colour pairs and some pairs of ops
occur in benchmarks alone.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from random import Random

from madi.scenes import words
from madi.scenes.edits import OPS, TASK_OF, TASKS, apply, draw, scene_of, thing_of
from madi.scenes.world import CELLS, COLOURS, SHAPES, VARIANTS, Scene

SPLITS = {"base": (0.0, 0.60), "tune": (0.60, 0.80), "validation": (0.80, 0.85), "bench": (0.85, 1.0)}
HELD_OUT = frozenset({("star", "green"), ("heart", "blue")})
HELD_OUT_COMPOUNDS = (frozenset({"style", "remove"}), frozenset({"light", "add"}))
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


def share(scene: Scene) -> float:
    """A scene's place in [0, 1), by hash: the splits are ranges of it."""
    return int.from_bytes(hashlib.sha256(scene.canonical().encode()).digest()[:7], "big") / 2**56


def split_of(scene: Scene) -> str | None:
    """The one split a scene may occur in; with a held-out pair, the benchmarks' or nobody's."""
    place = share(scene)
    if any((thing.shape, thing.colour) in HELD_OUT for thing in scene.things):
        return "bench" if place >= 0.70 else None
    return next(name for name, (low, high) in SPLITS.items() if low <= place < high)


def until(make, split: str, tries: int = 100_000):
    """Draw until the scene is this split's; `make` returns (scene, rest) or None."""
    for _ in range(tries):
        made = make()
        if made is not None and split_of(made[0]) == split:
            return made
    raise RuntimeError(f"no scene of split {split} in {tries} draws")


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


GENEVAL_TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")
RELATIONS = {"left of": (0, -1), "right of": (0, 1), "above": (-1, 0), "below": (1, 0)}


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


KINDS = {
    "edit": edits,
    "compound": compounds,
    "session": sessions,
    "multi": multis,
    "t2i": captions,
    "geneval": genevals,
}


def items(kind: str, split: str, n: int | None, seed: int, **options) -> Iterator[Item]:
    """`n` items (None: without end) of a kind, the same for the same arguments whatever was drawn before."""
    count, index = 0, 0
    while n is None or count < n:
        identity = f"{split}-{kind}-{seed}-{index:05d}"
        for item in KINDS[kind](Random(identity), split, identity, index, **options):
            if n is not None and count == n:
                return
            yield item
            count += 1
        index += 1


def loose(item: Item, rng: Random) -> Item:
    """The item with one thing changed that nobody asked for: the base learns to over-edit, as large bases do.

    Never what a right answer may have otherwise: a cell that an op touched (or chose), or the lie of a new background.
    """
    source, target = item.sources[0], item.target
    touched = {op.get("cell") for op in item.ops} | {c for c in range(len(CELLS)) if target.at(c) != source.at(c)}
    spare = [thing for thing in target.things if thing.cell not in touched]
    lies = [] if any(op["op"] == "background" for op in item.ops) else [v for v in VARIANTS if v != target.variant]

    def make():
        if lies and (not spare or rng.random() < 0.3):
            return replace(target, variant=rng.choice(lies)), None
        if not spare:
            return None
        return apply(target, draw(replace(target, things=(rng.choice(spare),)), "recolor", rng), rng), None

    try:
        slack = until(make, item.split, 200)[0]
    except RuntimeError:
        return item
    return replace(item, target=slack, target_caption=words.caption(slack))
