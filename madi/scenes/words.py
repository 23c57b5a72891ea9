"""Scenes and edits in words: instructions in several phrasings, captions, plans.

`register` picks the phrasings: "base" (what the base was pretrained on) and "tune" (fine-tuning and benchmarks) overlap
in part, so that fine-tuning has a manner of speaking to learn.
"""

from __future__ import annotations

from random import Random

from madi.scenes.world import CELLS, SHAPES, SIZES, Scene, Thing

PLACE = dict(zip(CELLS, ("in the top left", "at the top", "in the top right", "on the left", "in the middle")))
PLACE |= dict(zip(CELLS[5:], ("on the right", "in the bottom left", "at the bottom", "in the bottom right")))
GROUND = {"sky": "the sky", "grass": "grass", "sand": "sand", "night": "a night sky", "snow": "snow", "sea": "the sea"}
LIGHT = {"day": "by day", "sunset": "at sunset", "fog": "in fog"}
STYLE = {"plain": "plain style", "comic": "comic style", "sketch": "sketch style", "neon": "neon style"}
NUMBER = {1: "one", 2: "two", 3: "three", 4: "four"}

# The first two of each are the base's alone, the last two fine-tuning's and the benchmarks' alone, the rest common.
PHRASES = {
    "add": ["we need {a} {at}", "insert {a} {at}", "add {a} {at}", "put {a} {at}", "place {a} {at}", "draw {a} {at}"],
    "remove": ["drop {the}", "get rid of {the}", "remove {the}", "delete {the}", "take away {the}", "erase {the}"],
    "recolor": [
        "color {the} {colour}",
        "{the} should be {colour}",
        "make {the} {colour}",
        "change {the} to {colour}",
        "turn {the} {colour}",
        "paint {the} {colour}",
    ],
    "reshape": [
        "swap {the} for a {shape}",
        "{the} should be a {shape}",
        "turn {the} into a {shape}",
        "change {the} into a {shape}",
        "replace {the} with a {shape}",
        "make {the} a {shape}",
    ],
    "resize": [
        "{the} should be {size}",
        "draw {the} {size}",
        "make {the} {size}",
        "make {the} {sized}",
        "turn {the} {size}",
        "change the size of {the} to {size}",
    ],
    "letter": [
        "print {letter} on {the}",
        "{the} should read {letter}",
        "write {letter} on {the}",
        "put the letter {letter} on {the}",
        "write the letter {letter} on {the}",
        "label {the} with {letter}",
    ],
    "wipe": [
        "{the} should have no letter",
        "clean the letter off {the}",
        "remove the letter from {the}",
        "erase the letter on {the}",
        "delete the letter on {the}",
        "take the letter off {the}",
    ],
    "background": [
        "we want {ground} behind",
        "set the background to {ground}",
        "change the background to {ground}",
        "make the background {ground}",
        "replace the background with {ground}",
        "put {ground} in the background",
    ],
    "light": [
        "the picture should be {light}",
        "show the scene {light}",
        "make it {light}",
        "change the picture to be {light}",
        "show it {light}",
        "turn the scene to be {light}",
    ],
    "style": [
        "redraw everything in {style}",
        "we want {style}",
        "change it to {style}",
        "make it {style}",
        "turn the picture into {style}",
        "draw the picture in {style}",
    ],
}


def phrases(kind: str, register: str) -> list[str]:
    """The phrasings of an op in a register, "base" or "tune"."""
    return PHRASES[kind][:4] if register == "base" else PHRASES[kind][2:]


def named(thing: Thing, *, size=True, colour=True, letter=True) -> str:
    """`large red circle with the letter A`, as much of it as is asked for."""
    words = [thing.size if size else "", thing.colour if colour else "", thing.shape]
    tail = f" with the letter {thing.letter}" if letter and thing.letter else ""
    return " ".join(filter(None, words)) + tail


def refer(scene: Scene, cell: int, rng: Random) -> str:
    """`the ...`: a description that fits this thing alone, short ones first, now and then a longer one."""
    thing, others = scene.at(cell), [t for t in scene.things if t.cell != cell]
    ways = [{"size": False, "colour": False}, {"size": False}, {"colour": False}, {}]
    fits = [named(thing, letter=False, **w) for w in ways if not _same(thing, others, w)]
    if fits and rng.random() < 0.85:
        return f"the {fits[0] if rng.random() < 0.5 else rng.choice(fits)}"
    return f"the {named(thing, letter=False, **rng.choice(ways[1::2]))} {PLACE[CELLS[cell]]}"


def _same(thing: Thing, others: list[Thing], way: dict) -> bool:
    return any(named(o, letter=False, **way) == named(thing, letter=False, **way) for o in others)


def instruct(scene: Scene, op: dict, rng: Random, register: str = "tune", full: bool = False) -> str:
    """The op as an instruction about `scene`; `full` leaves nothing of it unsaid and takes one fixed phrasing."""
    kind = "wipe" if op["op"] == "letter" and op["letter"] is None else op["op"]
    template = phrases(kind, "tune")[0] if full else rng.choice(phrases(kind, register))
    return " ".join(template.format(**_fields(scene, op, rng)).split())


def _fields(scene: Scene, op: dict, rng: Random) -> dict:
    fields = {"colour": op.get("colour"), "shape": op.get("shape"), "letter": op.get("letter")}
    if op["op"] == "add":
        words = " ".join(filter(None, (op["size"], op["colour"], op["shape"])))
        return {"a": an(words), "at": PLACE[CELLS[op["cell"]]] if op["cell"] is not None else ""}
    if "cell" in op:
        fields["the"] = refer(scene, op["cell"], rng)
    if op["op"] == "resize":
        fields |= {"size": op["size"], "sized": {"small": "smaller", "large": "bigger"}[op["size"]]}
    return fields | {
        "ground": GROUND.get(op.get("background"), ""),
        "light": LIGHT.get(op.get("light"), ""),
        "style": STYLE.get(op.get("style"), ""),
    }


def look(scene: Scene) -> str:
    """`on sand, comic style, at sunset`: what is plain, or by day, goes unsaid."""
    words = [f"on {GROUND[scene.background]}"]
    words += [STYLE[scene.style]] if scene.style != "plain" else []
    words += [LIGHT[scene.light]] if scene.light != "day" else []
    return ", ".join(words)


def placed(thing: Thing) -> str:
    """`a small blue star on the right`."""
    return f"{an(named(thing))} {PLACE[CELLS[thing.cell]]}"


def caption(scene: Scene) -> str:
    """The whole scene in one sentence, everything but the background's variant."""
    return f"{' and '.join(placed(thing) for thing in scene.things) or 'nothing'} {look(scene)}"


def local_caption(source: Scene, target: Scene) -> str:
    """What is new in the target, as MagicBrush's local descriptions say it."""
    new = [thing for thing in target.things if source.at(thing.cell) != thing]
    return " and ".join(placed(thing) for thing in new) or caption(target)


def plan(scenes: list[Scene], ops: list[dict], rng: Random, most: int = 5) -> list[str]:
    """Sub-prompts that spell the edit out (sec. 9: at most five); `scenes[k]` is what op k is applied to."""
    steps = []
    for scene, op in zip(scenes, ops):
        if len(ops) == 1 and "cell" in op and op["op"] != "add":
            steps.append(f"find the {named(scene.at(op['cell']))} {PLACE[CELLS[op['cell']]]}")
        if len(ops) == 1 and op["op"] == "add" and op["cell"] is not None:
            steps.append(f"find the empty place {PLACE[CELLS[op['cell']]]}")
        steps.append(instruct(scene, op, rng, full=True))
    return [*steps[: most - 1], "keep everything else"]


def an(words: str) -> str:
    """The words with their article."""
    return f"an {words}" if words[0] in "aeo" else f"a {words}"


def count_of(shape: str, count: int) -> str:
    """`a star`, `three crosses`."""
    plural = shape + ("es" if shape.endswith("s") else "s")
    return f"a {shape}" if count == 1 else f"{NUMBER[count]} {plural}"


def vocabulary() -> list[str]:
    """Every word a sentence above can hold, for the tokenizer's training."""
    text = " ".join(p for group in PHRASES.values() for p in group).replace("{", " ").replace("}", " ")
    more = [*PLACE.values(), *GROUND.values(), *LIGHT.values(), *STYLE.values(), *NUMBER.values(), *SIZES]
    return sorted({*text.split(), *" ".join(more).split(), *(count_of(s, 2).split()[-1] for s in SHAPES)})
