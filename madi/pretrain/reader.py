"""Readers: linear answers to "what is the scene?", trained beside a model and thrown away.

They make a model look at every thing early. A contrastive or a velocity loss alone finds out slowly, at this size,
which thing the words mean.
Shapes: N scenes, F fields a scene (3 looks, then 4 of each of 9 cells), T tokens of a side x side grid, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from madi.scenes.render import window
from madi.scenes.world import BACKGROUNDS, CELLS, COLOURS, LETTERS, LIGHTS, SHAPES, SIZES, STYLES, Scene

FIELDS = {"shape": SHAPES, "colour": COLOURS, "size": SIZES, "letter": LETTERS}
LOOKS = {"background": BACKGROUNDS, "style": STYLES, "light": LIGHTS}
LOOK_WIDTHS = [len(values) for values in LOOKS.values()]
FIELD_WIDTHS = [1 + len(values) for values in FIELDS.values()]
WIDTHS = LOOK_WIDTHS + FIELD_WIDTHS * len(CELLS)


def labels(scenes: list[Scene]) -> torch.Tensor:
    """int64 [N,F]: looks, then shape, colour, size, letter of each cell; 0 is none."""
    rows = []
    for scene in scenes:
        row = [values.index(getattr(scene, name)) for name, values in LOOKS.items()]
        for cell in range(len(CELLS)):
            thing = scene.at(cell)
            for name, values in FIELDS.items():
                value = getattr(thing, name) if thing else None
                row.append(0 if value is None else 1 + values.index(value))
        rows.append(row)
    return torch.tensor(rows)


def reading(logits: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """Cross-entropy of answers `logits` [N, sum of WIDTHS], mean over fields and scenes by `weight` [N,F]."""
    parts = logits.float().split(WIDTHS, 1)
    each = torch.stack([F.cross_entropy(p, truth[:, k], reduction="none") for k, p in enumerate(parts)], 1)
    return each.mean() if weight is None else (weight * each).sum() / weight.sum()


class Reader(torch.nn.Module):
    """Reads a scene from a grid of tokens: looks from the mean of all, a cell's thing from the tokens in its window."""

    def __init__(self, width: int, side: int):
        super().__init__()
        self.looks = torch.nn.Linear(width, sum(LOOK_WIDTHS))
        self.thing = torch.nn.Linear(width, sum(FIELD_WIDTHS))
        self.register_buffer("shares", shares(side), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Logits [N, sum of WIDTHS] of tokens [N,T,W]."""
        looks = self.looks(tokens.mean(1))
        return torch.cat([looks, self.thing(self.shares @ tokens).flatten(1)], 1)


def shares(side: int) -> torch.Tensor:
    """[9, side * side]: how much of a cell's window each token covers; rows sum to 1."""
    made = torch.zeros(len(CELLS), side, side)
    for cell in range(len(CELLS)):
        top, left, bottom, right = window(cell, 1024)
        pixels = torch.zeros(1024, 1024)
        pixels[top:bottom, left:right] = 1
        made[cell] = F.adaptive_avg_pool2d(pixels[None], side)[0]
    return (made / made.sum((1, 2), keepdim=True)).flatten(1)
