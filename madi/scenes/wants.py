"""What a list of ops makes of a source, as predicates: the words that must hold, and with them what may change.

A goal is what a cell must hold afterwards: None for nothing, else its thing's words by attribute, where None under
"size" means any.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import product

from madi.scenes.edits import ATTRIBUTE, LOOK
from madi.scenes.world import SIZES, VARIANTS, Scene, Thing

Goal = dict[str, str | None] | None


@dataclass
class Want:
    """`look`: words that must hold; `cells`: goals of the cells that ops name; `loose`: goals for any free cell.

    `steps` has one (kind, place) for each op that asks for something: a look's word and None; "add" and a cell, or
    "add" and None; "remove" and a cell; an attribute and a cell.
    """

    look: dict[str, str] = field(default_factory=dict)
    cells: dict[int, Goal] = field(default_factory=dict)
    loose: list[dict] = field(default_factory=list)
    steps: list[tuple[str, int | None]] = field(default_factory=list)


def goal_of(thing: Thing | None) -> Goal:
    """The words of a thing."""
    return None if thing is None else {key: value for key, value in asdict(thing).items() if key != "cell"}


def fits(goal: Goal, thing: Thing | None) -> bool:
    """Whether a cell's content meets a goal."""
    if goal is None or thing is None:
        return goal is None and thing is None
    return all(getattr(thing, part) == word for part, word in goal.items() if (part, word) != ("size", None))


def things_of(goal: Goal, cell: int) -> list[Thing | None]:
    """All contents of a cell that meet a goal."""
    if goal is None:
        return [None]
    return [Thing(cell, **goal | {"size": size}) for size in ((goal["size"],) if goal["size"] else SIZES)]


def wanted(source: Scene, ops: list[dict]) -> Want:
    """Run the ops, in turn, on what is known of the source; an op on a cell that holds nothing asks for nothing."""
    want = Want()
    for op in ops:
        kind, cell = op["op"], op.get("cell")
        held = want.cells.get(cell, goal_of(source.at(cell)))
        if kind in LOOK:
            want.look[kind] = op[kind]
            cell = None
        elif kind == "add":
            goal = {"shape": op["shape"], "colour": op["colour"], "size": op["size"], "letter": None}
            if cell is None:
                want.loose.append(goal)
            else:
                want.cells[cell] = goal
        elif held is None:
            continue
        elif kind == "remove":
            want.cells[cell] = None
        else:
            kind = ATTRIBUTE[kind]
            want.cells[cell] = lettered(held | {kind: op[kind]})
        want.steps.append((kind, cell))
    return want


def lettered(goal: dict) -> dict:
    """A goal without its letter where nothing that meets it can bear one."""
    able = any(thing.bears_letters for thing in things_of(goal, 0))
    return goal if able else goal | {"letter": None}


def looks_of(source: Scene, want: Want) -> list[tuple[str, int, str, str]]:
    """Every look that the ops allow: another background may lie in any way."""
    background, style, light = (want.look.get(word, getattr(source, word)) for word in ("background", "style", "light"))
    variants = VARIANTS if "background" in want.look else (source.variant,)
    return [(background, variant, style, light) for variant in variants]


def targets(source: Scene, want: Want) -> list[Scene]:
    """Right scenes that between them show each right look and each right content of each cell at least once."""
    spots = [cell for cell in source.free() if cell not in want.cells]
    found = []
    for look, size, extra in product(looks_of(source, want), SIZES, want.loose or [None]):
        scene = Scene(*look, source.things)
        for cell, goal in [*want.cells.items(), *((cell, extra) for cell in spots if extra)]:
            choice = [thing for thing in things_of(goal, cell) if thing is None or thing.size == size]
            thing = choice[0] if choice else things_of(goal, cell)[0]
            scene = scene.without(cell) if thing is None else scene.put(thing)
        if scene not in found:
            found.append(scene)
    return found
