"""Objects in a picture, for GenEval's rules: the scene parser in the detector's place."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from madi.score.geneval import Detection


def detections(scene, size: int) -> dict[str, list[Detection]]:
    """Things of a scene as read from an image of `size` px, by class (shape); nothing where `scene` is None.

    The parser says yes or no, so every thing it read is fully sure, and a class keeps the order of its cells.
    """
    found: dict[str, list[Detection]] = {}
    for thing in scene.things if scene is not None else ():
        found.setdefault(thing.shape, []).append(Detection(box(thing, scene.style, size), thing.colour))
    return found


def box(thing, style: str, size: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) px around what is drawn of a thing."""
    from madi.scenes.render import window

    top, left, _, _ = window(thing.cell, size)
    x0, y0, x1, y1 = _extent(thing.shape, thing.size, style, size)
    return left + x0, top + y0, left + x1, top + y1


@lru_cache(maxsize=1024)
def _extent(shape: str, size_word: str, style: str, size: int) -> tuple[int, int, int, int]:
    """(left, top, right, bottom) of a thing inside its window, its shadow not counted."""
    from madi.scenes.render import sprite
    from madi.scenes.world import COLOURS

    _, alpha = sprite(shape, COLOURS[0], size_word, None, style, "day", size)
    rows, columns = np.nonzero(alpha[..., 0] > 0.5)
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1
