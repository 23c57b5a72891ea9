"""Half-done edits: a picture between the source and what was wanted, as averaging samplers leave them.

Legend: picture, source S and target T are float32 `[128, 128, 3]` in 0..1. In each cell's window the share b of the
target is the least-squares one, b = <picture - S, T - S> / |T - S|^2 in 0..1, and the residual is the root mean square
of picture - S - b (T - S). Where that explains the picture far better than any clean scene does, the cell is taken for
what it is nearer to, since a parser of clean scenes would read a ghost of red and blue as purple.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from madi.scenes.parse import Reading
from madi.scenes.render import render, window
from madi.scenes.wants import Want, targets
from madi.scenes.world import CELLS, Scene, Thing

BETTER = 0.5  # a ghost's residual must be below this share of the reading's
PLAIN = 0.004  # a reading with a residual below this (rounding alone gives 0.0012) needs no other explanation


@dataclass(frozen=True)
class Seen:
    """What is taken to be in the picture; `unclear` cells hold something that is no thing and are empty in `scene`."""

    scene: Scene
    unclear: frozenset[int]


def between(picture: np.ndarray, source: np.ndarray, target: np.ndarray) -> tuple[float, float]:
    """(share of the target, residual) of a window."""
    apart, whole = target - source, picture - source
    power = float((apart**2).sum())
    share = min(1.0, max(0.0, float((whole * apart).sum()) / power)) if power > 1e-9 else 0.0
    return share, float(np.sqrt(((whole - share * apart) ** 2).mean()))


def laid(source: Scene, want: Want, reading: Reading, picture: np.ndarray) -> Seen | None:
    """What the picture shows, ghosts settled. None where it is no scene and no ghost of one."""
    drawn = render(source).astype(np.float32) / 255
    goals = [(scene, render(scene).astype(np.float32) / 255) for scene in targets(source, want)]
    ghosts = [_ghost(cell, picture, drawn, goals, source) for cell in range(len(CELLS))]
    seen, unclear = reading.scene, set(reading.unclear)
    easily = explains(_together([ghost[0] for ghost in ghosts]), _together(reading.residuals))
    if easily:  # its things may have been read under a wrong look
        (share, _), goal = min(((between(picture, drawn, image), goal) for goal, image in goals), key=_residual)
        nearer = goal if share >= 0.5 else source
        things = seen.things if seen else ()
        seen = Scene(nearer.background, nearer.variant, nearer.style, nearer.light, things)
    if seen is None:
        return None
    for cell, ((residual, thing), clean) in enumerate(zip(ghosts, reading.residuals)):
        if explains(residual, clean) or (easily and residual <= max(clean, PLAIN)):
            seen = seen.without(cell) if thing is None else seen.put(thing)
            unclear.discard(cell)
        elif reading.scene is None:
            unclear.add(cell)
    return Seen(seen, frozenset(unclear))


def explains(ghost: float, clean: float) -> bool:
    """Whether a ghost with one residual is to be believed rather than a clean scene with the other."""
    return clean > PLAIN and ghost < BETTER * clean


def _together(residuals) -> float:
    return float(np.sqrt(np.mean(np.square(residuals))))


def _residual(found) -> float:
    return found[0][1]


def _ghost(cell: int, picture, drawn, goals, source: Scene) -> tuple[float, Thing | None]:
    """(residual, what the cell is nearer to) of the best mixture of the source and one of the goals in a cell."""
    top, left, bottom, right = window(cell)
    box = np.s_[top:bottom, left:right]
    best = (float("inf"), None)
    for goal, image in goals:
        share, residual = between(picture[box], drawn[box], image[box])
        if residual < best[0]:
            best = (residual, goal.at(cell) if share >= 0.5 else source.at(cell))
    return best
