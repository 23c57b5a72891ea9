"""Where the official scripts of a benchmark look for an edit's image, and the other way round.

geneval       <prompt, 5 digits>/samples/<seed, 4 digits>.png, beside metadata.jsonl of the prompt
magicbrush    <session>/<session>_1.png, and for later turns _inde_<turn>.png, which edit the true source, or
              _iter_<turn>.png, which edit the editor's own edit of the turn before
complex-edit  <complexity>/<row, 4 digits>.png
idea-bench    <case>/0001.jpg
plain         <sample id>.png, with _pause<n> and _seed<n> where they are not 0

Exported images are PNG under every name, so that nothing is lost: an image is what its content says, whatever its
ending. In a layout of numbers a name may be read with any number of digits: GenEval's own script writes five.
"""

from __future__ import annotations

from madi.editors import Turns
from madi.errors import MadiError
from madi.samples import Sample

FINAL = ("geneval", "magicbrush", "complex-edit", "idea-bench")  # layouts that have one place a sample and seed
NUMBERED = ("geneval", "complex-edit")  # layouts whose names are numbers


def place(layout: str, sample: Sample, pause: int, seed: int, turns: Turns = "given") -> str:
    """The path of an edit below a layout's folder. Errors: MadiError for a sample that the layout has no place for."""
    row = sample.row
    if layout == "plain":
        more = "".join(f"_{name}{value}" for name, value in (("pause", pause), ("seed", seed)) if value)
        return f"{safe(sample.id)}{more}.png"
    if layout == "geneval" and not sample.count:
        return f"{number_of(sample):05}/samples/{seed:04}.png"
    if layout == "magicbrush" and row["turn"]:
        kind = "" if row["turn"] == 1 else {"given": "inde_", "own": "iter_"}[turns]
        return f"{session_of(sample)}/{session_of(sample)}_{kind}{row['turn']}.png"
    if layout == "complex-edit" and row["complexity"]:
        return f"{row['complexity']}/{number_of(sample):04}.png"
    if layout == "idea-bench":
        return f"{safe(sample.id.removeprefix('idea_bench-'))}/0001.jpg"
    where = f"{sample.file} row {sample.number}"
    raise MadiError(f"{sample.id} has no place in the layout {layout}", where, "a layout of its benchmark, or plain")


def number_of(sample: Sample) -> int:
    """The place of a sample's row in its published split, over all its files."""
    return sample.spec().get("index", sample.row["origin"]["row"])


def session_of(sample: Sample) -> str:
    """The name of a turn's MagicBrush session."""
    return safe(sample.row["group_id"].removeprefix("magicbrush-"))


def key(layout: str, name: str) -> str | int:
    """What names in a layout are compared by: a number however many digits it is written with, else the name."""
    return int(name) if layout in NUMBERED and name.isascii() and name.isdigit() else name


def safe(name: str) -> str:
    """A name as one part of a path. Errors: MadiError for one that leads elsewhere: it came from data."""
    if name in ("", ".", "..") or any(letter in name for letter in "/\\\0"):
        raise MadiError(f"{name!r} cannot name a file", "sample_id", "a name without slashes")
    return name
