"""Edits: an op says what must hold afterwards, `apply` gives one right target, `draw` finds an op that a scene admits.

An op is a plain dict (it is stored as JSON):
    add {shape, colour, size, cell}, with size and cell None where any is right; remove {cell}; recolor {cell, colour};
    reshape {cell, shape}; resize {cell, size}; letter {cell, letter}, None to wipe it off; background {background};
    light {light}; style {style}.
Things never move, so `cell` names the thing in the scene that the op is applied to.
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from madi.scenes.world import (
    BACKGROUNDS,
    COLOURS,
    LETTERS,
    LIGHTS,
    MOST_THINGS,
    SHAPES,
    SIZES,
    STYLES,
    VARIANTS,
    Scene,
    Thing,
)

TASKS = ("add", "background", "color", "global", "local", "remove", "style", "text")  # Emu-Edit's eight
OPS = {
    "add": ("add",),
    "background": ("background",),
    "color": ("recolor",),
    "global": ("light",),
    "local": ("reshape", "resize"),
    "remove": ("remove",),
    "style": ("style",),
    "text": ("letter",),
}
TASK_OF = {op: task for task, ops in OPS.items() for op in ops}
ATTRIBUTE = {"recolor": "colour", "reshape": "shape", "resize": "size", "letter": "letter"}
LOOK = ("background", "light", "style")
SIZES_WITH_ANY = (*SIZES, None)


def thing_of(rng: Random, cell: int) -> Thing:
    """A thing drawn at random; a third of those that can bear a letter do."""
    thing = Thing(cell, rng.choice(SHAPES), rng.choice(COLOURS), rng.choice(SIZES))
    return replace(thing, letter=rng.choice(LETTERS)) if thing.bears_letters and rng.random() < 0.33 else thing


def scene_of(rng: Random, counts=((1, 0.30), (2, 0.35), (3, 0.25), (4, 0.10))) -> Scene:
    """A scene drawn at random: mostly plain and by day, one to four things."""
    numbers, weights = zip(*counts)
    cells = rng.sample(range(9), rng.choices(numbers, weights)[0])
    return Scene(
        rng.choice(BACKGROUNDS),
        rng.choice(VARIANTS),
        rng.choices(STYLES, (55, 15, 15, 15))[0],
        rng.choices(LIGHTS, (60, 20, 20))[0],
        tuple(thing_of(rng, cell) for cell in cells),
    )


def other(rng: Random, values, now):
    """One of `values` that differs from `now`."""
    return rng.choice([value for value in values if value != now])


def _draw_add(scene: Scene, rng: Random) -> dict | None:
    if len(scene.things) >= MOST_THINGS:
        return None
    pairs = {(thing.shape, thing.colour) for thing in scene.things}
    shape, colour = rng.choice(SHAPES), rng.choice(COLOURS)
    if (shape, colour) in pairs:  # "add a red circle" beside a red circle would be hard to judge by eye
        return None
    cell = rng.choice(scene.free()) if rng.random() < 0.8 else None
    return {"op": "add", "shape": shape, "colour": colour, "size": rng.choice(SIZES_WITH_ANY), "cell": cell}


def _draw_letter(scene: Scene, rng: Random) -> dict | None:
    able = [thing for thing in scene.things if thing.bears_letters]
    if not able:
        return None
    thing = rng.choice(able)
    wiped = thing.letter is not None and rng.random() < 0.25
    return {"op": "letter", "cell": thing.cell, "letter": None if wiped else other(rng, LETTERS, thing.letter)}


def draw(scene: Scene, op: str, rng: Random) -> dict | None:
    """An op of this kind that changes the scene, or None where the draw found none."""
    if op == "add":
        return _draw_add(scene, rng)
    if op == "letter":
        return _draw_letter(scene, rng)
    if op in LOOK:
        values = {"background": BACKGROUNDS, "light": LIGHTS, "style": STYLES}[op]
        return {"op": op, op: other(rng, values, getattr(scene, op))}
    if not scene.things:
        return None
    thing = rng.choice(scene.things)
    if op == "remove":
        return {"op": op, "cell": thing.cell}
    if op == "resize":
        return {"op": op, "cell": thing.cell, "size": other(rng, SIZES, thing.size)}
    if op == "reshape":
        shapes = [shape for shape in SHAPES if thing.letter is None or shape != "moon"]  # a letter must still fit
        return {"op": op, "cell": thing.cell, "shape": other(rng, shapes, thing.shape)}
    return {"op": op, "cell": thing.cell, "colour": other(rng, COLOURS, thing.colour)}


def apply(scene: Scene, op: dict, rng: Random) -> Scene:
    """One right target of an op; `rng` settles what the op leaves open. A thing made small loses its letter."""
    kind = op["op"]
    if kind in LOOK:
        return replace(scene, **{kind: op[kind]})
    if kind == "remove":
        return scene.without(op["cell"])
    if kind == "add":
        cell = op["cell"] if op["cell"] is not None else rng.choice(scene.free())
        return scene.put(Thing(cell, op["shape"], op["colour"], op["size"] or rng.choice(SIZES)))
    thing = replace(scene.at(op["cell"]), **{ATTRIBUTE[kind]: op[ATTRIBUTE[kind]]})
    return scene.put(thing if thing.bears_letters else replace(thing, letter=None))
