"""Outlines of the eight shapes and strokes of the six letters, as points in a box of -1..1, y downwards."""

from __future__ import annotations

from functools import lru_cache

import numpy as np


def _around(count: int, radii=(1.0,), start: float = -90.0) -> np.ndarray:
    """Points on circles about the middle; the radii are taken in turn."""
    turn = np.radians(start + 360 * np.arange(count) / count)
    return np.stack([np.cos(turn), np.sin(turn)], 1) * np.resize(radii, count)[:, None]


def _heart() -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 60, endpoint=False)
    x = 16 * np.sin(turn) ** 3
    y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
    return np.stack([x / 16.5, -(y + 2) / 15.5], 1)


def _moon() -> np.ndarray:
    """A crescent: the outer circle's left arc, then back along a nearer circle."""
    out, back = np.radians(np.linspace(-55, -305, 40)), np.radians(np.linspace(-290, -70, 40))
    outer = np.stack([np.cos(out), np.sin(out)], 1)
    inner = np.stack([0.46 + 0.72 * np.cos(back), 0.86 * np.sin(back)], 1)
    return np.concatenate([outer, inner]) + [0.14, 0]


@lru_cache(maxsize=16)
def outline(shape: str) -> np.ndarray:
    """Corners `[n, 2]` of a shape as (x, y)."""
    arm = 0.36
    corners = [(-arm, -1), (arm, -1), (arm, -arm), (1, -arm), (1, arm), (arm, arm)]
    return {
        "circle": lambda: _around(64, (0.96,)),
        "square": lambda: 0.86 * np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float),
        "triangle": lambda: np.array([(0, -0.98), (1.0, 0.84), (-1.0, 0.84)]),
        "star": lambda: _around(10, (1.06, 0.46)) + [0, 0.06],
        "heart": _heart,
        "diamond": lambda: np.array([(0, -1.05), (0.78, 0), (0, 1.05), (-0.78, 0)]),
        "cross": lambda: np.array(corners + [(-x, -y) for x, y in corners]),
        "moon": _moon,
    }[shape]()


@lru_cache(maxsize=16)
def strokes(letter: str) -> list[np.ndarray]:
    """Lines of a letter, each `[n, 2]` as (x, y)."""
    lines = {
        "A": [[(-0.8, 1), (0, -1), (0.8, 1)], [(-0.5, 0.35), (0.5, 0.35)]],
        "E": [[(0.65, -0.95), (-0.6, -0.95), (-0.6, 0.95), (0.65, 0.95)], [(-0.6, 0), (0.5, 0)]],
        "H": [[(-0.65, -1), (-0.65, 1)], [(0.65, -1), (0.65, 1)], [(-0.65, 0), (0.65, 0)]],
        "O": [[*map(tuple, _around(24, (0.85,))), (0.0, -0.85)]],
        "T": [[(-0.8, -0.95), (0.8, -0.95)], [(0, -0.95), (0, 1)]],
        "X": [[(-0.75, -1), (0.75, 1)], [(0.75, -1), (-0.75, 1)]],
    }[letter]
    return [np.array(line, float) for line in lines]
