"""Where a cell's number comes from: the samples behind it, the edit of each that was taken, and what each is worth."""

from __future__ import annotations

import json
from dataclasses import dataclass

from madi.tables.board import Board, Query, Units
from madi.tables.build import ask_board


@dataclass(frozen=True)
class Unit:
    """One sample of one editor behind a cell: the edit taken, what it adds to the mean, and how much that weighs."""

    sample_id: str
    editor: str
    pause: int
    seed: int
    value: float
    weight: float
    edit_id: str


def name_of(cell: dict) -> str:
    """`table/block/row/column`."""
    return "/".join(cell[part] for part in ("table", "block", "row", "column"))


def queries(cell: dict) -> list[Query]:
    """What a cell asks of the scores: nothing where it is not made of them, two questions for a gain."""
    ask = json.loads(cell["query"])["ask"]
    if not ask:
        return []
    return [Query.model_validate(part) for part in ((ask["of"], ask["over"]) if "of" in ask else (ask,))]


def units(cell: dict, board: Board) -> list[Unit]:
    """The units of a cell, the highest value first; of a gain, those of the row that gains, then of the other's."""
    found = []
    for query in queries(cell):
        mine = rows(ask_board(query, board), board)
        found += sorted(mine, key=lambda unit: (-unit.value, unit.sample_id, unit.editor, unit.pause, unit.seed))
    return found


def rows(answered: Units, board: Board) -> list[Unit]:
    edits = board.edits.set_index("edit_id").loc[list(answered.edits)]
    keys = zip(answered.samples, edits["editor"], edits["pause"], edits["seed"])
    worth = zip(answered.values, answered.weights, answered.edits)
    return [
        Unit(str(sample), str(editor), int(pause), int(seed), float(value), float(weight), str(edit))
        for (sample, editor, pause, seed), (value, weight, edit) in zip(keys, worth)
    ]
