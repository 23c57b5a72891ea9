"""Where a cell's number comes from: the samples behind it, the edit of each that was taken, and what each is worth."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pandas as pd

from madi.tables import choose
from madi.tables.asking import ask_board
from madi.tables.board import Board, Query, Units

FILTERED = "left out by the rule for discordant answers: IF above 7 and IDP below 3"
NEVER = "no score of it"


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
    return [unit for query in queries(cell) for unit in units_of(query, board)]


def units_of(query: Query, board: Board) -> list[Unit]:
    """The units of one query, the highest value first."""
    mine = rows(ask_board(query, board), board)
    return sorted(mine, key=lambda unit: (-unit.value, unit.sample_id, unit.editor, unit.pause, unit.seed))


def rows(answered: Units, board: Board) -> list[Unit]:
    edits = board.edits.set_index("edit_id").loc[list(answered.edits)]
    keys = zip(answered.samples, edits["editor"], edits["pause"], edits["seed"])
    worth = zip(answered.values, answered.weights, answered.edits)
    return [
        Unit(str(sample), str(editor), int(pause), int(seed), float(value), float(weight), str(edit))
        for (sample, editor, pause, seed), (value, weight, edit) in zip(keys, worth)
    ]


def looked_at(query: Query) -> list[str]:
    """The names of all scores that an answer turns on: those it is made of, and those a choice is made by."""
    rule = choose.RULES.get(query.select)
    if query.statistic == "recall":
        return [rule.guard]
    by = [name for name in (rule.objective, rule.guard) if name] if rule else []
    return list(dict.fromkeys([*query.parts, *by]))


def scores_of(unit: Unit, query: Query, board: Board) -> dict[str, str]:
    """Score ids of the edit taken, by name."""
    row = board.rows[unit.edit_id]
    found = {name: board.column(name)[2][row] for name in looked_at(query)}
    return {name: score for name, score in found.items() if isinstance(score, str)}


def lost(query: Query, board: Board, scores: pd.DataFrame) -> list[tuple[str, str, str]]:
    """(sample, excluded or missing, why) of the samples that a cell counts as lost. scores: Score rows, with reasons.

    Why: what the scores say that the answer wanted and that have no value, each once.
    """
    answered = ask_board(query, board)
    gone = {sample: "missing" for sample in answered.missing} | {sample: "excluded" for sample in answered.excluded}
    mine = scores[scores["sample_id"].isin(gone.keys()) & (scores["benchmark"] == query.benchmark)]
    mine = mine[mine["editor"].isin(query.editors) & mine["pause"].isin(query.pauses) & (mine["status"] != "ok")]
    if query.seeds is not None:
        mine = mine[mine["seed"].isin(query.seeds)]
    mine = mine.assign(name=mine["metric"] + "/" + mine["against"])
    mine = mine[mine["name"].isin(looked_at(query))]
    told: dict[str, dict[str, None]] = {}
    for row in mine.itertuples():
        told.setdefault(row.sample_id, {})[f"{row.name}: {row.reason or row.status}"] = None
    silent = FILTERED if query.combine == "filtered" else NEVER
    return [(sample, how, "; ".join(told.get(sample, {silent: None}))) for sample, how in sorted(gone.items())]
