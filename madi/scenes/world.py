"""What a scene is made of: words, and two frozen records.

A scene is a background with a style and a light over it, and up to five things on a 3x3 grid, one thing a cell.
Things never move, so a thing's cell names it through any number of edits.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace

SHAPES = ("circle", "square", "triangle", "star", "heart", "diamond", "cross", "moon")
COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
SIZES = ("small", "large")
LETTERS = ("A", "E", "H", "O", "T", "X")  # only where `Thing.bears_letters`: elsewhere there is no room
BACKGROUNDS = ("sky", "grass", "sand", "night", "snow", "sea")
VARIANTS = (0, 1, 2)  # the lie of the clouds, dunes or waves: never named in words, kept by a good edit
STYLES = ("plain", "comic", "sketch", "neon")
LIGHTS = ("day", "sunset", "fog")
CELLS = ("top left", "top", "top right", "left", "middle", "right", "bottom left", "bottom", "bottom right")
MOST_THINGS = 5


@dataclass(frozen=True, order=True)
class Thing:
    """One object; `cell` counts the grid row by row from the top left."""

    cell: int
    shape: str
    colour: str
    size: str
    letter: str | None = None

    @property
    def bears_letters(self) -> bool:
        """Whether a letter fits: on anything large but a thin crescent."""
        return self.size == "large" and self.shape != "moon"


@dataclass(frozen=True)
class Scene:
    """A whole picture, before it is drawn. Things are kept in the order of their cells."""

    background: str
    variant: int
    style: str
    light: str
    things: tuple[Thing, ...] = ()

    def __post_init__(self):
        cells = [thing.cell for thing in self.things]
        if len(set(cells)) != len(cells):
            raise ValueError(f"two things in one cell: {cells}")
        object.__setattr__(self, "things", tuple(sorted(self.things, key=lambda thing: thing.cell)))

    def at(self, cell: int) -> Thing | None:
        """The thing in a cell, or None."""
        return next((thing for thing in self.things if thing.cell == cell), None)

    def free(self) -> list[int]:
        """Cells with nothing in them."""
        taken = {thing.cell for thing in self.things}
        return [cell for cell in range(len(CELLS)) if cell not in taken]

    def put(self, thing: Thing) -> Scene:
        """The scene with `thing` in its cell, in place of whatever was there."""
        return replace(self, things=(*(other for other in self.things if other.cell != thing.cell), thing))

    def without(self, cell: int) -> Scene:
        """The scene with a cell emptied."""
        return replace(self, things=tuple(thing for thing in self.things if thing.cell != cell))

    def to_dict(self) -> dict:
        """Plain values for JSON; `from_dict` reads them back."""
        return asdict(self) | {"things": [asdict(thing) for thing in self.things]}

    @classmethod
    def from_dict(cls, values: dict) -> Scene:
        """The scene that `to_dict` wrote."""
        return cls(**values | {"things": tuple(Thing(**thing) for thing in values["things"])})

    def canonical(self) -> str:
        """One string a scene, equal for equal scenes: what the split and the leak check hash."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))
