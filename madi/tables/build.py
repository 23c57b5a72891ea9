"""Scores to cells: every declared cell asked, with its interval, its reported value, and the scores it comes from."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np

from madi.records import cell_id
from madi.tables import facts, stats
from madi.tables.board import Board, Query, Units
from madi.tables.sources import Source, as_number
from madi.tables.spec import Ask, Block, Row, TablesSpec

NOT_RUN, NO_WEIGHTS, NOTHING = "not run at this scale", "no public weights", "not applicable"


@dataclass
class Answer:
    """One cell while it is being made."""

    name: str
    kind: str = "reported"
    value: float | None = None
    text: str = "–"
    interval: stats.Interval = None
    status: str = NOTHING
    query: Query | None = None
    units: Units | None = None
    gain: dict | None = None  # the two queries of a gain, in place of its own


def merged(block: Block, row: Ask, column: Ask) -> Ask:
    """What a cell asks: the column's word before the row's before the block's."""
    said = {}
    for ask in (block, row, column):
        said |= {name: getattr(ask, name) for name in Ask.model_fields if getattr(ask, name) is not None}
    return Ask(**said)


def query_of(ask: Ask, source: Source) -> Query | None:
    """The question an ask comes to, None where it names no system, metric or benchmark, or has no bar to hold to."""
    if None in (ask.system, ask.metric, ask.benchmark):
        return None
    metric = source.spec.metrics[ask.metric]
    bar = source.bars.get((ask.select or "").removesuffix("_at_least"))
    if ask.select and ask.select.endswith("_at_least") and bar is None:
        return None
    return Query(
        benchmark=ask.benchmark,
        editors=source.spec.systems[ask.system].editors,
        pauses=ask.pauses or [0],
        seeds=None if ask.seeds == "all" else ask.seeds or [0],
        parts=metric.best if ask.judgements == "best" else metric.parts,
        among=scaled_samples(ask.benchmark, source.settings) if ask.among == "scaled" else None,
        combine=metric.combine,
        select=ask.select,
        bar=bar,
        statistic=ask.statistic or "mean",
        where=ask.where.model_dump(exclude_none=True) if ask.where else {},
        scale=100.0 if metric.percent else 1.0,
        rate=metric.rate or ask.statistic == "recall",
    )


def scaled_samples(benchmark: str, settings: dict) -> int | None:
    """How many samples the asks with pauses take of a benchmark; None where they take all."""
    asks = [ask for ask in settings["asks"] if ask["benchmark"] == benchmark and max(ask["pauses"]) > 0]
    return min((ask["take"] for ask in asks if ask["take"]), default=None)


def ask_board(query: Query, board: Board) -> Units:
    return board.recall(query) if query.statistic == "recall" else board.answer(query)


def estimate(query: Query, units: Units, source: Source) -> tuple[float | None, stats.Interval]:
    """Value and 95 % interval of a cell from its units."""
    strata = strata_of(query, units)
    if query.statistic == "macro":
        if not strata or set(strata) != source.board.tags(query):
            return None, None  # a mean over fewer tags is another number
        value = float(np.mean([sums.ratio for sums in strata.values()]))
        return value, stats.macro_interval(strata, source.resamples, source.seed)
    sums = strata[""]
    if query.rate and sums.ratio is not None:
        low, high = stats.wilson(sums.ratio / query.scale, len(sums.names))
        return sums.ratio, (low * query.scale, high * query.scale)
    return sums.ratio, stats.mean_interval(sums, source.resamples, source.seed)


def strata_of(query: Query, units: Units) -> stats.Strata:
    """The sums that a cell's value is the mean of: one a tag of GenEval for its average, else all units in one."""
    if query.statistic == "macro":
        return {tag: sums_of(units, units.strata == tag) for tag in sorted(set(units.strata))}
    return {"": sums_of(units)}


def sums_of(units: Units, mask: np.ndarray | None = None) -> stats.Sums:
    mask = np.ones(len(units.values), bool) if mask is None else mask
    return stats.group_sums(units.values[mask], units.groups[mask], units.weights[mask])


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


def digits_of(query: Query, metric: str, source: Source) -> int:
    """Digits after the point that a cell shows."""
    return 2 if query.statistic == "recall" else source.spec.metrics[metric].digits


def fact_answer(ask: Ask, name: str, source: Source) -> Answer:
    kind = "config" if ask.fact.config is not None else "samples"
    found = facts.of(ask, source.settings, source.samples, source.board)
    if found is None:
        return Answer(name, status=NOT_RUN if ask.run or kind == "samples" else NOTHING)
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
    winners = {(best_row(c, rows, block, grid, source), c) for c in block.columns}
    for (row, column), made in grid.items():
        label = f"{rows[row].title or row} · {block.columns[column].title or column}"
        printed = merged(block, rows[row], block.columns[column]).printed_in or table
        reported = source.reported.get((printed, key, row, column))
        cell = cell_of((table, key, row, column), label, made, (row, column) in winners, source, reported)
        yield cell, (made.units.scores if made.units else [])


def best_row(column: str, rows: dict[str, Row], block: Block, grid: dict, source: Source) -> str | None:
    """The row whose cell beats every other reproduced row's of its column, controls too; None if there is none.

    References and gains do not compete, nor do rows of one system (its tasks, say), nor a row that is another over
    fewer samples. A lead must be one that shows.
    """
    if block.system:
        return None
    rivals = {}
    for row, ask in rows.items():
        made, whole = grid[row, column], merged(block, ask, block.columns[column])
        system = source.spec.systems.get(whole.system)
        if made.query and made.value is not None and not system.reference and ask.among is None:
            rivals[row] = made if source.spec.metrics[whole.metric].higher_is_better else None
            shows = 0.5 * 10 ** -digits_of(made.query, whole.metric, source)  # the least that the cells can show
    if len(rivals) < 2 or None in rivals.values():
        return None
    top = max(rivals, key=lambda row: rivals[row].value)
    others = [made for row, made in rivals.items() if row != top]
    if any(rivals[top].value - made.value < shows for made in others):
        return None
    return top if all(beaten(rivals[top], made, source) for made in others) else None


def beaten(top: Answer, other: Answer, source: Source) -> bool:
    """Whether the difference of the two values, as the cells print them, has its paired 95 % interval above zero."""
    first, second = (strata_of(made.query, made.units) for made in (top, other))
    interval = stats.lead_interval(first, second, source.resamples, source.seed)
    return interval is not None and interval[0] > 0


def cell_of(key: tuple[str, ...], label: str, made: Answer, best: bool, source: Source, reported: str | None) -> dict:
    """The record of one cell; `query` holds what was asked, whether it is a separated best, and its status."""
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
        query=json.dumps({"ask": ask, "best": best, "status": made.status}, sort_keys=True),
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
