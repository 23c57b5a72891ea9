"""What opens behind each cell of the page: what was asked, how many samples answer, and the samples at both ends."""

import json
from dataclasses import dataclass, field

from markupsafe import Markup

from madi.tables import trace
from madi.tables.board import Board, Query
from madi.tables.build import ask_board
from madi.tables.page.gallery import Card
from madi.tables.spec import TablesSpec
from madi.tables.words import asked, system_of
from madi.tables.write import View, view

END = 12  # samples shown at each end of a cell's values
OTHER = {
    "config": "Read from the configuration of this scale.",
    "samples": "Counted over this scale's samples.",
    "edits": "Counted over this scale's edits.",
}


@dataclass
class Names:
    """What the units of all cells point into, each named once."""

    rows: dict[str, int]  # edit -> its row on the board
    samples: dict[tuple[str, str], int] = field(default_factory=dict)
    systems: dict[str, int] = field(default_factory=dict)


def behind(cells: list[dict], board: Board, shown: list[Card], name: str, spec: TablesSpec) -> dict:
    """Everything that the page's script shows of cells. `name`: of the scale.

    Keys of `cells` are `key_of`; a cell that is only reported has no entry. `samples`: [id, card's number or null].
    """
    names = Names({edit: row for row, edit in enumerate(board.keys["edit_id"])})
    found = {}
    for cell in cells:
        one = view(cell)
        if opens(one):
            parts = [part(query, board, names, spec) for query in trace.queries(cell)]
            found[key_of(cell)] = opened(one, name) | {"parts": parts}
    numbers = {(card.benchmark, card.sample_id): card.number for card in shown}
    samples = [[sample, numbers.get((benchmark, sample))] for benchmark, sample in names.samples]
    return {"cells": found, "samples": samples, "systems": list(names.systems)}


def opens(shown: View) -> bool:
    """Whether a cell has something behind it: a value reproduced here."""
    return shown.cell["kind"] != "reported"


def key_of(cell: dict) -> str:
    return "/".join(cell[part] for part in ("table", "block", "row", "column"))


def opened(shown: View, name: str) -> dict:
    """A cell's numbers as they are shown. `name`: of the scale, whose folder `madi trace` is told."""
    cell = shown.cell
    return {
        "label": cell["label"],
        "text": shown.text,
        "interval": shown.interval,
        "counts": [cell["n"], cell["excluded"], cell["missing"]] if cell["kind"] == "scores" else None,
        "paper": shown.reported,
        "note": OTHER.get(cell["kind"], ""),
        "digest": cell["digest"],
        "command": f'madi trace results/{name} "{key_of(cell)}"',
    }


def part(query: Query, board: Board, names: Names, spec: TablesSpec) -> dict:
    """One question of a cell (a gain has two), in words; its highest and lowest units in the order of `trace.units`,
    as [sample, value, pause, seed, system]; and how many there are."""
    answered = ask_board(query, board)
    rows = [names.rows[edit] for edit in answered.edits]
    who = zip(answered.samples, *(board.keys[key][rows].tolist() for key in ("editor", "pause", "seed")))
    units = sorted(zip((-answered.values).tolist(), who))
    told = [
        [
            names.samples.setdefault((query.benchmark, str(sample)), len(names.samples)),
            float(f"{-less:.4g}"),
            pause,
            seed,
            names.systems.setdefault(editor, len(names.systems)),
        ]
        for less, (sample, editor, pause, seed) in (units if len(units) <= 2 * END else units[:END] + units[-END:])
    ]
    return {"title": system_of(query, spec), "asked": asked(query, spec), "units": told, "of": len(units)}


def as_json(value: object) -> Markup:
    """JSON that can stand inside a script element: ASCII, and nothing in it can end the element."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))  # noqa: S704  (what is safe here is this very escape)
