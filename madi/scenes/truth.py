"""Judges an edit against its ops, which are predicates: what must hold afterwards, and what must not change.

Legend: every part of a judgement is a share in 0..1; a verdict's values are 0..10. `ops` are those of `edits.py`, each
on the scene the one before it made. "Add a red circle" with no cell has many right answers: any free cell serves.

    instruction following   mean over the ops of how far each holds, times how far the picture is of this source at all
    identity preservation   share of what no op permits to change that stayed, corrected for chance as in Cohen's kappa:
                            (share - CHANCE) / (1 - CHANCE), since unrelated scenes agree in something too
    perceptual quality      falls with the distance between the picture and the nearest rendering of any scene
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from madi.scenes.edits import LOOK
from madi.scenes.ghosts import Seen, laid
from madi.scenes.parse import Reading, fitted, read
from madi.scenes.wants import Want, goal_of, wanted
from madi.scenes.world import Scene, Thing

CHANCE = 0.25  # share of a source that only about one unrelated scene in twenty exceeds
LOOK_WEIGHTS = {"background": 0.20, "variant": 0.06, "style": 0.14, "light": 0.10}
THINGS_WEIGHT = 0.50  # of all things together
PARTS = {"shape": 0.35, "colour": 0.35, "size": 0.15, "letter": 0.15}
RELATED = (0.10, 0.40)  # identity up to the first: no edit of this source; from the second on: certainly one
WRONG_SIZE, WRONG_PLACE, WRONG_BEARER = 0.75, 0.5, 0.5  # what is left of an op's credit
CLEAN, SPOILT = 0.04, 0.20  # residuals at which perceptual quality is 10 and 0


@dataclass(frozen=True)
class Verdict:
    """An oracle's scores, each 0..10, and the reading of the picture that they rest on."""

    instruction_following: float
    identity_preservation: float
    perceptual_quality: float
    reading: Reading


def judge(sources: Scene | list[Scene], ops: list[dict], image: np.ndarray) -> Verdict:
    """Judge the picture `image` (uint8 `[H, W, 3]`) as an edit by `ops` of the first of `sources`."""
    source = sources if isinstance(sources, Scene) else sources[0]
    reading = read(image)
    want = wanted(source, ops)
    seen = laid(source, want, reading, fitted(image))
    if seen is None:
        return Verdict(0.0, 0.0, quality(reading), reading)
    credits, used = followed(source, want, seen)
    share = kept(source, want, seen, used)
    identity = max(0.0, (share - CHANCE) / (1 - CHANCE))
    related = min(1.0, max(0.0, (identity - RELATED[0]) / (RELATED[1] - RELATED[0])))
    done = sum(credits) / len(credits) if credits else 0.0
    return Verdict(10 * done * related, 10 * identity, quality(reading), reading)


def quality(reading: Reading) -> float:
    """Perceptual quality 0..10 of a reading: a spoilt cell counts as much as a whole picture half as spoilt."""
    residual = (reading.residual + max(reading.residuals)) / 2
    return 10 * min(1.0, max(0.0, (SPOILT - residual) / (SPOILT - CLEAN)))


def followed(source: Scene, want: Want, seen: Seen) -> tuple[list[float], set[int]]:
    """(how far each op holds, cells of things added): what the source already had is nobody's credit."""
    credits, used, loose = [], set(), iter(want.loose)
    for kind, cell in want.steps:
        if kind in LOOK:
            if getattr(source, kind) != want.look[kind]:
                credits.append(float(getattr(seen.scene, kind) == want.look[kind]))
        elif kind == "add":
            goal = next(loose) if cell is None else want.cells[cell]
            credit, found = added(source, want, seen, goal, cell, used)
            credits.append(credit)
            used |= found
        elif want.cells[cell] is None:
            credits.append(float(seen.scene.at(cell) is None and cell not in seen.unclear))
        elif source.at(cell) is None or getattr(source.at(cell), kind) != want.cells[cell][kind]:
            credits.append(altered(want.cells[cell], seen.scene.at(cell), kind))
    return credits, used


def altered(goal: dict, thing: Thing | None, part: str) -> float:
    """How far one part of a thing is as it should be; less if what bears it is another thing now."""
    if thing is None or getattr(thing, part) != goal[part]:
        return 0.0
    other = "colour" if part == "shape" else "shape"
    return 1.0 if getattr(thing, other) == goal[other] else WRONG_BEARER


def added(source: Scene, want: Want, seen: Seen, goal, cell: int | None, used: set[int]) -> tuple[float, set[int]]:
    """(how far a thing was added, its cell): the best of the new things in cells that were free."""
    best = (0.0, set())
    for thing in seen.scene.things:
        taken = thing.cell in used or source.at(thing.cell) or (thing.cell in want.cells and thing.cell != cell)
        if taken or goal is None:
            continue
        credit = ((thing.shape == goal["shape"]) + (thing.colour == goal["colour"])) / 2
        credit *= 1.0 if goal["size"] in (None, thing.size) else WRONG_SIZE
        credit *= 1.0 if cell in (None, thing.cell) else WRONG_PLACE
        if credit > best[0]:
            best = (credit, {thing.cell})
    return best


def kept(source: Scene, want: Want, seen: Seen, used: set[int]) -> float:
    """Share, by weight, of what should stay that stayed; a thing that nobody asked for weighs as one that was lost."""
    stakes = []
    same = {word: getattr(seen.scene, word) == getattr(source, word) for word in LOOK_WEIGHTS}
    same["variant"] &= same["background"]
    free = set(want.look) | ({"variant"} if "background" in want.look else set())
    stakes += [(weight, same[word]) for word, weight in LOOK_WEIGHTS.items() if word not in free]
    for thing in source.things:
        weight = THINGS_WEIGHT / len(source.things)
        goal = want.cells.get(thing.cell, goal_of(thing))
        stakes += [(weight * PARTS[part], same) for part, same in stayed(thing, goal, seen.scene.at(thing.cell))]
    full = {thing.cell for thing in seen.scene.things} | seen.unclear
    extra = [cell for cell in full if not source.at(cell) and cell not in want.cells and cell not in used]
    stakes += [(THINGS_WEIGHT / max(2, len(source.things)), False) for _ in extra]
    total = sum(weight for weight, _ in stakes)
    return sum(weight for weight, same in stakes if same) / total if total else 1.0


def stayed(before: Thing, goal, after: Thing | None) -> list[tuple[str, bool]]:
    """(part, whether it stayed) for each part that no op changes; size and letter stay only with a shape or colour."""
    if goal is None:
        return []
    same = {part: after is not None and getattr(after, part) == getattr(before, part) for part in PARTS}
    is_it = after is not None and any(getattr(after, part) == goal[part] for part in ("shape", "colour"))
    return [(part, same[part] and is_it) for part in PARTS if goal[part] == getattr(before, part)]
