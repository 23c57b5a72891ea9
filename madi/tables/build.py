"""Scores to cells: every declared cell asked, with its interval, its reported value, and the scores it comes from."""

import hashlib
import json

import numpy as np

from madi import stats
from madi.records import cell_id
from madi.tables import facts
from madi.tables.asking import (
    NO_WEIGHTS,
    NOT_RUN,
    NOTHING,
    Answer,
    ask_board,
    digits_of,
    merged,
    query_of,
    strata_of,
    sums_of,
)
from madi.tables.board import Query, Units
from madi.tables.leaders import leaders
from madi.tables.sources import Source, as_number
from madi.tables.spec import Ask, Block, Row, TablesSpec


def estimate(query: Query, units: Units, source: Source) -> tuple[float | None, stats.Interval]:
    """Value and 95 % interval of a cell from its units."""
    strata = strata_of(query, units)
    if query.statistic == "macro":
        wanted = set(query.where["tag"]) if "tag" in query.where else source.board.tags(query)
        if not strata or set(strata) != wanted:
            return None, None  # a mean over fewer tags is another number
        value = float(np.mean([sums.ratio for sums in strata.values()]))
        return value, stats.macro_interval(strata, source.resamples, source.seed)
    sums = strata[""]
    if query.rate and sums.ratio is not None:
        low, high = stats.wilson(sums.ratio / query.scale, len(sums.names))
        return sums.ratio, (low * query.scale, high * query.scale)
    return sums.ratio, stats.mean_interval(sums, source.resamples, source.seed)


def answer(ask: Ask, name: str, source: Source) -> Answer:
    """One cell, except a gain."""
    if ask.fact is not None:
        return fact_answer(ask, name, source)
    system = source.spec.systems.get(ask.system)
    status = NOTHING if system is None else NOT_RUN if system.public else NO_WEIGHTS
    query = query_of(ask, source)
    if query is None or not query.parts or not source.board.has(query):
        return Answer(name, status=status)
    units = ask_board(query, source.board)
    value, interval = estimate(query, units, source)
    text = "–" if value is None else f"{value:z.{digits_of(query, ask.metric, source)}f}"
    return Answer(name, "scores", value, text, interval, "ok", query, units)


def fact_answer(ask: Ask, name: str, source: Source) -> Answer:
    kind, found = facts.of(ask, source)
    if found is None:
        return Answer(name, status=NOT_RUN if ask.run or kind != "config" else NOTHING)
    return Answer(name, kind, found[0], found[1], status="ok")


def gain(name: str, of: Answer, over: Answer, source: Source) -> Answer:
    """Percent by which one cell exceeds another of its column."""
    if not (of.units and over.units and of.value is not None and over.value):
        return Answer(name, status=NOT_RUN)
    interval = stats.gain_interval(sums_of(of.units), sums_of(over.units), source.resamples, source.seed)
    value = 100 * (of.value / over.value - 1)
    both = Units(
        *(
            np.concatenate([getattr(u, f) for u in (of.units, over.units)])
            for f in ("samples", "groups", "strata", "edits")
        ),
        values=np.concatenate([of.units.values, over.units.values]),
        weights=np.concatenate([of.units.weights, over.units.weights]),
        excluded=of.units.excluded | over.units.excluded,
        missing=of.units.missing | over.units.missing,
        asked=of.units.asked | over.units.asked,
        scores=sorted(set(of.units.scores) | set(over.units.scores)),
    )
    asked = {"of": of.query.model_dump(), "over": over.query.model_dump()}
    return Answer(name, "scores", value, f"{value:z.1f}%", interval, "ok", None, both, asked)


def with_references(block: Block, spec: TablesSpec) -> dict[str, Row]:
    """The block's rows, and its floor and ceiling after them."""
    rows = {name: Row(system=name, title=spec.systems[name].title, extra=True) for name in block.references}
    return block.rows | rows


def build(source: Source) -> tuple[list[dict], list[dict]]:
    """All cells and their lineage, in the order of tables.yaml."""
    cells, lineage = [], []
    for table, body in source.spec.all_tables().items():
        for key, block in body.blocks.items():
            for cell, scores in block_cells(table, key, block, source):
                cells.append(cell)
                lineage += uses(cell, scores, source.prints)
    return cells, lineage


def uses(cell: dict, scores: list[tuple[str, str]], prints: dict[str, str]) -> list[dict]:
    """The lineage of a cell: its scores and edits, and what each was when the cell was made."""
    key = cell_id(cell)
    return [
        {"cell_id": key, "score_id": s, "edit_id": e, "score": prints.get(s, ""), "image": prints.get(e, "")}
        for s, e in scores
    ]


def block_cells(table: str, key: str, block: Block, source: Source):
    """Cells of one block with their scores, row by row."""
    rows = with_references(block, source.spec)
    grid: dict[tuple[str, str], Answer] = {}
    for row, row_ask in rows.items():
        for column, column_ask in block.columns.items():
            name = f"{table}/{key}/{row}/{column}"
            if row_ask.gain:
                of, over = grid[row_ask.gain.of, column], grid[row_ask.gain.over, column]
                grid[row, column] = gain(name, of, over, source)
            else:
                grid[row, column] = answer(merged(block, row_ask, column_ask), name, source)
    places = {}
    for column in block.columns:
        best, second = leaders(column, rows, block, grid, source)
        places |= {(best, column): "best", (second, column): "second"}
    for (row, column), made in grid.items():
        label = f"{rows[row].title or row} · {block.columns[column].title or column}"
        printed = merged(block, rows[row], block.columns[column]).printed_in or table
        reported = source.reported.get((printed, key, row, column))
        cell = cell_of((table, key, row, column), label, made, places.get((row, column)), source, reported)
        yield cell, (made.units.scores if made.units else [])


def cell_of(
    key: tuple[str, ...], label: str, made: Answer, place: str | None, source: Source, reported: str | None
) -> dict:
    """The record of one cell; `query` holds what was asked, whether it is a separated best or the next after
    one, and its status."""
    ask = made.query.model_dump() if made.query else made.gain
    low, high = made.interval or (None, None)
    return dict(
        **dict(zip(("table", "block", "row", "column"), key)),
        label=label,
        kind=made.kind,
        value=made.value,
        text=made.text,
        low=low,
        high=high,
        **counts(made.units),
        reported=reported,
        reported_value=as_number(reported),
        query=json.dumps(
            {"ask": ask, "best": place == "best", "second": place == "second", "status": made.status}, sort_keys=True
        ),
        digest=digest(made.units.scores if made.units else [], source.prints),
    )


def counts(units: Units | None) -> dict[str, int]:
    """Samples behind a cell, and samples lost to it: each once, however many seeds, editors or rows it comes from."""
    if units is None:
        return dict(n=0, excluded=0, missing=0)
    return dict(n=len(set(units.samples)), excluded=len(units.excluded), missing=len(units.missing))


def digest(scores: list[tuple[str, str]], prints: dict[str, str]) -> str:
    """A hash over the scores of a cell and, where they are known, the images they were taken from."""
    lines = [f"{s} {prints.get(s, '')} {prints.get(e, '')}" for s, e in scores]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:16]
