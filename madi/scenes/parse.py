"""Reads a scene back from any picture, by finding the scene whose rendering is nearest to it.

Shapes: image uint8 `[H, W, 3]`; grid `[64, 64, 3]` float32 0..1, the picture at half of 128 px; a cell's window there
is `20 x 20`, flattened to `P = 400` pixels or `3 P = 1200` values; looks `K` of the 216 (background, variant, style,
light); forms `T = 465`: what a cell may hold, nothing (index 0) or a thing. Costs are summed squared errors over a
window of the grid; residuals are root mean squared errors, so 0.05 is five hundredths of the range of colour.

A thing drawn over a background B is B (1 - alpha) + rgb. With D = picture - B and S = rgb - B alpha, the cost
|D - S|^2 = |D|^2 - 2 <D, rgb> + 2 <sum_c D B, alpha> + |S|^2 is two matrix products for all cells and forms at once,
and |S|^2 is kept for each look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from madi.scenes.render import INK, UNIT, WINDOW, background, lit, render, sprite, window
from madi.scenes.world import (
    BACKGROUNDS,
    CELLS,
    COLOURS,
    LETTERS,
    LIGHTS,
    SHAPES,
    SIZES,
    STYLES,
    VARIANTS,
    Scene,
    Thing,
)

HALF = UNIT // 2
SIDE = WINDOW // 2
KEPT_LOOKS = 6
STIFF = 0.25  # weight, against the rest of the cost, of a thing's being of another colour than its form's throughout
SOFT = 2.0  # px of blur of the soft sprites: a VAE rounds a small cross until it is nearer to a sharp diamond
FAR = 0.4  # a colour this far from a background's is as bad as any further
PRICE = 0.2  # cost of saying that a cell holds a thing: the faintest one lowers the cost by 0.52
TOLD = 0.6  # share of the cost of an empty cell that may remain for a thing to be told in it
LEAST = 0.1  # by which a pale thing must lower the cost of its cell
FAINT = 0.08  # residual of an empty cell up to which what cannot be told is taken for nothing
GREY, HUE = 0.5, 2.0  # weight of a tint of the ground in brightness and in hue: what it is called hangs on its hue
UNREADABLE = 0.17  # residual of the whole picture above which it is said to be no scene
FAR_OFF = 0.1  # squared error of a colour beyond which it is of no ground, and tells nothing of which
MOST = 40.0  # cost of a cell, twice that of a large thing under another style
DARKER = 0.2  # most ink that a thing may have taken from its outline
MOST_UNCLEAR = 6  # cells; with as many, a picture is no scene either

Look = tuple[str, int, str, str]  # background, variant, style, light
LOOKS: tuple[Look, ...] = tuple(product(BACKGROUNDS, VARIANTS, STYLES, LIGHTS))


def _forms() -> tuple[Thing | None, ...]:
    bare = [Thing(0, *words) for words in product(SHAPES, COLOURS, SIZES)]
    lettered = [replace(thing, letter=letter) for thing in bare if thing.bears_letters for letter in LETTERS]
    return (None, *bare, *lettered)


FORMS = _forms()  # each thing as if in cell 0
_KINDS = [form and replace(form, colour="red") for form in FORMS]
_ALIKE = [np.array([other for other, kind in enumerate(_KINDS) if kind == own]) for own in _KINDS]


@dataclass(frozen=True)
class Reading:
    """What a picture shows.

    `scene` is None when `readable` is False; `residual` and `residuals` (one a cell) are root mean squared errors
    between the picture and the nearest scene's; `unclear` are cells with something in them that is no thing, left
    empty in `scene`.
    """

    scene: Scene | None
    readable: bool
    residual: float
    residuals: tuple[float, ...]
    unclear: tuple[int, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """How well each look and form explains a picture `[128, 128, 3]`, float32 0..1.

    `costs` `[K, 9, T]` forgive a thing some of a shift of colour, so that shapes are told by their outlines; `strict`
    ones do not, and tell colours apart; `outside` `[K]` is the cost of what no window covers, and of tints.
    """

    picture: np.ndarray
    looks: tuple[Look, ...]
    costs: np.ndarray
    strict: np.ndarray
    outside: np.ndarray

    def totals(self) -> np.ndarray:
        """Cost `[K]` of the best scene of each look; how vivid its things are tells of the light. What no thing
        explains tells nothing: above `MOST` a cell costs no more."""
        return self.strict.min(axis=2).clip(max=MOST).sum(axis=1) + self.outside


def halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 pixels over the first two axes."""
    rows, columns, depth = picture.shape
    return picture.reshape(rows // 2, 2, columns // 2, 2, depth).mean(axis=(1, 3))


def boxes(grid: np.ndarray) -> np.ndarray:
    """The nine windows `[9, P, C]` of a grid `[64, 64, C]`."""
    cut = [grid[top:bottom, left:right] for top, left, bottom, right in (window(c, HALF) for c in range(len(CELLS)))]
    return np.stack(cut).reshape(len(CELLS), SIDE * SIDE, -1)


@lru_cache(maxsize=1)
def _coarse_looks() -> np.ndarray:
    """All 216 backgrounds as `[216, 16 * 16, 3]`."""
    return np.stack([halved(halved(_ground(look))).reshape(-1, 3) for look in LOOKS])


@lru_cache(maxsize=len(LOOKS))
def _ground(look: Look) -> np.ndarray:
    """A look's background at half size, `[64, 64, 3]`."""
    return halved(background.__wrapped__(*look))  # not kept at full size: only these are needed again


@lru_cache(maxsize=len(STYLES) * len(LIGHTS))
def _sprites(style: str, light: str) -> tuple[np.ndarray, np.ndarray]:
    """Sprites of all forms at half size, sharp and then soft: (rgb `[2 T, 3 P]`, alpha `[2 T, P]`), 0 for nothing."""
    drawn = np.zeros((len(FORMS), SIDE, SIDE, 4), np.float32)
    for index, form in enumerate(FORMS[1:], 1):
        rgb, alpha = sprite.__wrapped__(form.shape, form.colour, form.size, form.letter, style, light)
        drawn[index] = halved(np.concatenate([rgb, alpha], 2))
    both = np.concatenate([drawn, gaussian_filter(drawn, (0, SOFT / 2, SOFT / 2, 0), mode="constant")])
    return both[..., :3].reshape(len(both), -1), both[..., 3].reshape(len(both), -1)


@lru_cache(maxsize=1)
def _bare() -> np.ndarray:
    """Share of the forms that leave each pixel of the grid bare, `[64, 64]`: 1 on the rim, high in windows' corners."""
    bare = np.ones((HALF, HALF), np.float32)
    covered = _sprites("comic", "day")[1][: len(FORMS)].mean(0).reshape(SIDE, SIDE)
    for cell in range(len(CELLS)):
        top, left, bottom, right = window(cell, HALF)
        bare[top:bottom, left:right] -= covered
    return bare


@lru_cache(maxsize=len(LOOKS))
def _powers(look: Look) -> tuple[np.ndarray, np.ndarray]:
    """(|S|^2 `[9, 2 T]`, <S, alpha> by channel `[3, 9, 2 T]`) of each form, sharp and soft, in each cell of a look."""
    rgb, alpha = _sprites(*look[2:])
    ground = boxes(_ground(look))
    drawn = rgb.reshape(len(rgb), -1, 3)
    shaded = drawn * alpha[..., None]
    crossed = ground.reshape(len(CELLS), -1) @ shaded.reshape(len(rgb), -1).T
    power = (rgb**2).sum(1) - 2 * crossed + (ground**2).sum(2) @ (alpha**2).T
    sums = shaded.sum(1).T[:, None] - np.moveaxis(ground, 2, 0) @ (alpha**2).T
    return power, sums


def levelled(apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cells `[9, P, 3]` of a grid less its ground, without a tint of the whole cell; the tints `[9, 3]`)."""
    inner = boxes(apart)
    tints = np.stack([np.median(corners, axis=0) for corners in inner[:, _corners()]])
    return inner - tints[:, None], tints


def costs_of(grid: np.ndarray, look: Look) -> tuple[np.ndarray, np.ndarray, float]:
    """(costs `[9, T]`, the same with colours taken strictly, cost of what is no cell's, such as tints) under a look."""
    ground = _ground(look)
    apart = grid - ground
    general = np.median(apart[_bare() > 0.9], axis=0)
    inner, tints = levelled(apart)
    base = boxes(ground)
    power = (inner**2).sum((1, 2))
    rgb, alpha = _sprites(*look[2:])
    powers, sums = _powers(look)
    match = inner.reshape(len(CELLS), -1) @ rgb.T - (inner * base).sum(2) @ alpha.T
    shift = np.moveaxis(inner, 2, 0) @ alpha.T - sums  # `[3, 9, 2 T]`
    spared = (shift**2).sum(0) / ((1 + STIFF) * (alpha**2).sum(1) + 1e-6)
    strict = (power[:, None] - 2 * match + powers).reshape(len(CELLS), 2, len(FORMS))
    costs = (strict - spared.reshape(strict.shape)).min(axis=1).clip(0)
    costs[:, 1:] += PRICE
    rim = ((apart - general) ** 2)[_bare() == 1].clip(max=FAR_OFF).sum()
    grey = tints.mean(axis=1, keepdims=True)
    tinted = GREY * 3 * (grey**2).clip(max=FAR_OFF).sum() + HUE * ((tints - grey) ** 2).clip(max=FAR_OFF).sum()
    return costs, strict.min(axis=1), float(rim + tinted * SIDE**2)


@lru_cache(maxsize=1)
def _corners() -> np.ndarray:
    """Which pixels of a window things seldom cover, bool `[P]`."""
    return boxes(_bare()[..., None])[0, :, 0] > 0.9


def fitted(image: np.ndarray) -> np.ndarray:
    """Any uint8 picture as float32 `[128, 128, 3]` in 0..1."""
    if image.shape[:2] != (UNIT, UNIT):
        image = np.asarray(Image.fromarray(image).resize((UNIT, UNIT), Image.BOX))
    return image.astype(np.float32) / 255


def likely_looks(grid: np.ndarray, count: int = KEPT_LOOKS) -> list[Look]:
    """The looks whose background is nearest, chiefly where things seldom are; what is far off may be a thing."""
    apart = _coarse_looks() - halved(halved(grid)).reshape(1, -1, 3)
    weight = halved(halved(_bare()[..., None])).ravel() ** 2
    score = np.minimum(np.sqrt((apart**2).sum(2)), FAR) @ weight
    return [LOOKS[index] for index in np.argsort(score, kind="stable")[:count]]


def weigh(image: np.ndarray, also: tuple[Look, ...] = ()) -> Evidence:
    """The evidence of a picture under its likeliest looks and those in `also`."""
    picture = fitted(image)
    grid = halved(picture)
    looks = tuple(dict.fromkeys((*likely_looks(grid), *also)))
    costs, strict, outside = zip(*(costs_of(grid, look) for look in looks))
    return Evidence(picture, looks, np.stack(costs), np.stack(strict), np.array(outside))


def scene_of(look: Look, forms) -> Scene:
    """The scene of a look and nine form indices."""
    things = (replace(FORMS[form], cell=cell) for cell, form in enumerate(forms) if form)
    return Scene(*look, tuple(things))


def residuals(picture: np.ndarray, scene: Scene) -> tuple[float, np.ndarray]:
    """(of the whole, of each cell `[9]`): root mean squared error between a picture and a scene's rendering."""
    error = ((picture - render(scene).astype(np.float32) / 255) ** 2).mean(2)
    cells = [error[top:bottom, left:right].mean() for top, left, bottom, right in map(window, range(len(CELLS)))]
    return float(np.sqrt(error.mean())), np.sqrt(cells)


def settle(evidence: Evidence) -> Reading:
    """The reading that evidence supports best."""
    best = int(evidence.totals().argmin())
    costs, bare = evidence.costs[best], evidence.costs[best][:, 0]
    strict = evidence.strict[best]
    seen = strict[:, 1:].min(axis=1)
    plain = (seen <= TOLD * bare) & (bare - seen >= LEAST)  # a pale thing, whose colour tells it from the ground
    told = (costs.min(axis=1) <= TOLD * bare) | plain
    chosen = np.where(told, 1 + costs[:, 1:].argmin(axis=1), 0)
    forms = coloured(halved(evidence.picture), evidence.looks[best], chosen)
    whole, cells = residuals(evidence.picture, scene_of(evidence.looks[best], forms))
    unclear = tuple(int(cell) for cell in np.flatnonzero(~told & (bare > FAINT**2 * 3 * SIDE**2)))
    readable = whole <= UNREADABLE and len(unclear) < MOST_UNCLEAR
    scene = scene_of(evidence.looks[best], forms) if readable else None
    return Reading(scene, readable, whole, tuple(map(float, cells)), unclear)


def coloured(grid: np.ndarray, look: Look, chosen: np.ndarray) -> np.ndarray:
    """The forms `[9]`, each in the colour that fits best where a thing may be darker than it is drawn.

    Dark outlines run into narrow things, and a darkened yellow is nearer to orange than to yellow. So each colour is
    held against the picture at its best share of ink, 0 to DARKER.
    """
    ground, forms = _ground(look), chosen.copy()
    (rgb, alpha), (inner, _), base = _sprites(*look[2:]), levelled(grid - ground), boxes(ground)
    ink = lit(np.float32(INK), look[3])
    for cell in np.flatnonzero(chosen):
        alike = _ALIKE[chosen[cell]]
        rows = np.concatenate([alike, alike + len(FORMS)])  # sharp, then soft
        cover = alpha[rows][..., None]
        drawn = rgb[rows].reshape(len(rows), -1, 3)
        left = (inner[cell] + base[cell] * cover - drawn).reshape(len(rows), -1)
        darker = (ink * cover - drawn).reshape(len(rows), -1)
        share = ((left * darker).sum(1) / (darker**2).sum(1)).clip(0, DARKER)
        costs = ((left - share[:, None] * darker) ** 2).sum(1)
        forms[cell] = alike[costs.reshape(2, -1).min(0).argmin()]
    return forms


def read(image: np.ndarray) -> Reading:
    """Read a picture, uint8 `[H, W, 3]` of any size. Raises nothing: what is no scene is answered unreadable."""
    return settle(weigh(image))
