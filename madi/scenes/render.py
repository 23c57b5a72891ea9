"""Draws a scene: a lit background, and each thing's sprite blended into its own window.

Shapes: image `[size, size, 3]` uint8 RGB; sprite rgb `[w, w, 3]` float32 in 0..1 times alpha, alpha `[w, w, 1]`.
Windows of different cells never overlap, and a light is an affine map of colour, so sprites and backgrounds are
drawn once, lit, and kept: a scene then costs one copy and a few blends.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from madi.scenes.shapes import outline, strokes
from madi.scenes.world import CELLS, Scene

UNIT = 128  # every length below is in px of a 128 px picture
WINDOW = 40
RADIUS = {"small": 11.0, "large": 18.0}
FINE = 4  # sprites are drawn this many times larger, then reduced, for smooth edges

RGB = {
    "red": (0.86, 0.16, 0.18),
    "orange": (0.97, 0.55, 0.12),
    "yellow": (0.98, 0.86, 0.22),
    "green": (0.13, 0.58, 0.27),
    "blue": (0.15, 0.35, 0.85),
    "purple": (0.52, 0.22, 0.70),
    "pink": (0.97, 0.56, 0.74),
    "white": (0.98, 0.98, 0.98),
}
INK = (0.10, 0.10, 0.14)
LIGHT = {  # colour -> scale * colour + shift
    "day": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "sunset": ((0.86, 0.70, 0.60), (0.14, 0.04, 0.00)),
    "fog": ((0.60, 0.60, 0.60), (0.31, 0.32, 0.34)),
}


def window(cell: int, size: int = UNIT) -> tuple[int, int, int, int]:
    """(top, left, bottom, right) px of a cell's box in a picture of `size` px."""
    row, column = divmod(cell, 3)
    width = round(WINDOW * size / UNIT)
    top, left = (round((24 + 40 * k) * size / UNIT) - width // 2 for k in (row, column))
    return top, left, top + width, left + width


def lit(colour: np.ndarray, light: str) -> np.ndarray:
    """Colour `[..., 3]` in 0..1 as a light shows it."""
    scale, shift = LIGHT[light]
    return np.asarray(colour, np.float32) * np.float32(scale) + np.float32(shift)


def mix(colour, other, share: float) -> np.ndarray:
    """`share` of `other` in `colour`."""
    return (1 - share) * np.asarray(colour, np.float32) + share * np.asarray(other, np.float32)


# Backgrounds: (upper colour, lower colour, colour of the pattern)
PALETTE = {
    "sky": ((0.36, 0.62, 0.92), (0.74, 0.88, 0.98), (1.00, 1.00, 1.00)),
    "grass": ((0.62, 0.82, 0.42), (0.36, 0.66, 0.26), (0.48, 0.75, 0.33)),
    "sand": ((0.96, 0.87, 0.66), (0.86, 0.71, 0.46), (0.78, 0.62, 0.38)),
    "night": ((0.04, 0.05, 0.18), (0.16, 0.15, 0.36), (0.24, 0.24, 0.50)),
    "snow": ((0.80, 0.87, 0.95), (0.90, 0.94, 0.98), (0.70, 0.79, 0.90)),
    "sea": ((0.10, 0.48, 0.62), (0.04, 0.26, 0.46), (0.22, 0.62, 0.74)),
}


def pattern(name: str, variant: int, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Share of the pattern's colour at each place, 0..1; x, y in 0..1. Smooth, so that a small VAE can carry it."""
    turn = 2.1 * variant
    if name in ("sky", "night"):  # soft clouds: a few wide blobs
        centres = [(0.22 + 0.31 * variant, 0.2), (0.78 - 0.23 * variant, 0.48), (0.45 + 0.2 * variant, 0.82)]
        return sum(0.85 * np.exp(-(((x - cx) / 0.20) ** 2 + ((y - cy) / 0.07) ** 2)) for cx, cy in centres).clip(0, 1)
    if name in ("sand", "snow"):  # hills: the slope below each crest is shaded
        crests = [(k + 0.10 * np.sin(5.0 * x + turn + 9 * k)) for k in (0.30, 0.62, 0.92)]
        return sum(0.55 * np.exp(-((y - c).clip(0, None) / 0.12)) * (y >= c) for c in crests).clip(0, 1)
    count = {"grass": 3, "sea": 5}[name]  # bands that sway: mown grass, waves
    return 0.5 + 0.5 * np.sin(2 * np.pi * (count * y + 0.35 * np.sin(2 * np.pi * x + turn) + variant / 3))


@lru_cache(maxsize=512)
def background(name: str, variant: int, style: str, light: str, size: int = UNIT) -> np.ndarray:
    """The lit background, `[size, size, 3]` float32 in 0..1."""
    y, x = np.meshgrid(*[(np.arange(size, dtype=np.float32) + 0.5) / size] * 2, indexing="ij")
    upper, lower, crest = (np.float32(colour) for colour in PALETTE[name])
    drawn = pattern(name, variant, x, y)
    if style == "comic":  # flat steps of tone
        y, drawn = np.round(y * 3) / 3, np.round(drawn * 2) / 2
    picture = upper + (lower - upper) * y[..., None]
    share = {"grass": 0.6, "sea": 0.55, "night": 0.6}.get(name, 0.85)
    picture = picture + share * drawn[..., None].astype(np.float32) * (crest - picture)
    if style == "sketch":
        picture = mix(picture, (0.97, 0.96, 0.92), 0.62)
    if style == "neon":
        picture = 0.30 * picture
    picture = lit(picture, light)
    picture.setflags(write=False)
    return picture


@lru_cache(maxsize=512)
def polygon(shape: str, radius: float, grow: float, width: int) -> np.ndarray:
    """Coverage `[width, width]` in 0..1 of a shape of `radius` px swollen by `grow` px (negative: shrunk)."""
    fine = Image.new("L", (width * FINE, width * FINE), 0)
    points = (outline(shape) * radius + width / 2) * FINE
    ImageDraw.Draw(fine).polygon([tuple(p) for p in points], fill=255)
    reach = 2 * round(abs(grow) * FINE) + 1
    if reach > 1:
        fine = fine.filter((ImageFilter.MaxFilter if grow > 0 else ImageFilter.MinFilter)(reach))
    return np.asarray(fine.resize((width, width), Image.BOX), np.float32) / 255


@lru_cache(maxsize=64)
def lettering(letter: str, radius: float, width: int) -> np.ndarray:
    """Coverage `[width, width]` of a letter written in the middle of a thing of `radius` px."""
    fine = Image.new("L", (width * FINE, width * FINE), 0)
    for line in strokes(letter):
        points = [tuple((p * 0.46 * radius + width / 2) * FINE) for p in line]
        ImageDraw.Draw(fine).line(points, fill=255, width=round(0.20 * radius * FINE), joint="curve")
    return np.asarray(fine.resize((width, width), Image.BOX), np.float32) / 255


@lru_cache(maxsize=8192)
def sprite(shape: str, colour: str, size_word: str, letter: str | None, style: str, light: str, size: int = UNIT):
    """(rgb times alpha `[w, w, 3]`, alpha `[w, w, 1]`), float32: the window becomes `window * (1 - alpha) + rgb`."""
    scale = size / UNIT
    width, radius = round(WINDOW * scale), RADIUS[size_word] * scale
    body = polygon(shape, radius, 0, width)
    inner = polygon(shape, radius, -(2.2 if style in ("comic", "neon") else 1.2) * scale, width)
    fill, edge, ink = tones(colour, style)
    down = np.linspace(-1, 1, width, dtype=np.float32)[:, None, None] if style == "plain" else 0.0
    picture = mix(edge, fill, inner[..., None]) * (1 - 0.12 * down)
    if letter:
        picture = mix(picture, ink, lettering(letter, radius, width)[..., None])
    rgb, alpha = lit(picture, light).clip(0, 1) * body[..., None], body[..., None]
    if style == "plain":  # a soft shadow below and to the right
        shade = np.roll(body, round(1.5 * scale), (0, 1))[..., None] * 0.30 * (1 - alpha)
        alpha = alpha + shade
    for array in (rgb, alpha):
        array.setflags(write=False)
    return rgb, alpha


def tones(colour: str, style: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(fill, edge, ink) of a thing: a style keeps the colour's name readable."""
    base = np.float32(RGB[colour])
    dark = colour in ("red", "green", "blue", "purple")
    if style == "comic":
        return base, np.float32(INK), np.float32((1, 1, 1) if dark else INK)
    if style == "sketch":
        return mix(base, (1, 1, 1), 0.45), mix(base, INK, 0.35), np.float32(INK)
    if style == "neon":
        return 0.35 * base, mix(base, (1, 1, 1), 0.15), np.float32((1, 1, 1))
    return base, 0.72 * base, np.float32((1, 1, 1) if dark else INK)


def render(scene: Scene, size: int = UNIT) -> np.ndarray:
    """The picture of a scene: uint8 `[size, size, 3]`."""
    picture = background(scene.background, scene.variant, scene.style, scene.light, size).copy()
    for thing in scene.things:
        top, left, bottom, right = window(thing.cell, size)
        rgb, alpha = sprite(thing.shape, thing.colour, thing.size, thing.letter, scene.style, scene.light, size)
        box = picture[top:bottom, left:right]
        box *= 1 - alpha
        box += rgb
    return (picture * 255 + 0.5).astype(np.uint8)


def region(source: Scene, target: Scene, size: int = UNIT) -> np.ndarray:
    """Where an edit may change pixels: uint8 `[size, size]`, 255 there and 0 elsewhere."""
    mask = np.zeros((size, size), np.uint8)
    looks = [(s.background, s.variant, s.style, s.light) for s in (source, target)]
    if looks[0] != looks[1]:
        mask[:] = 255
    for cell in range(len(CELLS)):
        if source.at(cell) != target.at(cell):
            top, left, bottom, right = window(cell, size)
            mask[top:bottom, left:right] = 255
    return mask
