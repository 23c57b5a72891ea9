"""What a cell asks of the scores, and the cell while it is being made."""

from dataclasses import dataclass

import numpy as np

from madi import stats
from madi.tables.board import Board, Query, Units
from madi.tables.sources import Source
from madi.tables.spec import Ask, Block, Metric

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
    """What a cell asks: the column's word before the row's before the block's; of a row of several systems, the one
    that the column is of."""
    said = {}
    for ask in (block, row, column):
        said |= {name: getattr(ask, name) for name in Ask.model_fields if getattr(ask, name) is not None}
    if (along := getattr(column, "along", None)) in (systems := getattr(row, "systems", {})):
        said["system"] = systems[along]
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
        statistic=ask.statistic or statistic_of(ask, metric),
        where=ask.where.model_dump(exclude_none=True) if ask.where else {},
        scale=100.0 if metric.percent else 1.0,
        rate=metric.rate or ask.statistic == "recall",
        by_task=metric.by_task,
    )


def statistic_of(ask: Ask, metric: Metric) -> str:
    """The metric's own statistic. Of one tag, the mean over tags is the mean: the cell keeps its rate's interval."""
    one_tag = ask.where is not None and ask.where.tag is not None and len(ask.where.tag) == 1
    return "mean" if one_tag else metric.statistic


def scaled_samples(benchmark: str, settings: dict) -> int | None:
    """How many samples the asks with pauses take of a benchmark; None where they take all."""
    asks = [ask for ask in settings["asks"] if ask["benchmark"] == benchmark and max(ask["pauses"]) > 0]
    return min((ask["take"] for ask in asks if ask["take"]), default=None)


def ask_board(query: Query, board: Board) -> Units:
    return board.recall(query) if query.statistic == "recall" else board.answer(query)


def digits_of(query: Query, metric: str, source: Source) -> int:
    """Digits after the point that a cell shows."""
    return 2 if query.statistic == "recall" else source.spec.metrics[metric].digits


def strata_of(query: Query, units: Units) -> stats.Strata:
    """The sums that a cell's value is the mean of: one a tag of GenEval for its average, else all units in one."""
    if query.statistic == "macro":
        return {tag: sums_of(units, units.strata == tag) for tag in sorted(set(units.strata))}
    return {"": sums_of(units)}


def sums_of(units: Units, mask: np.ndarray | None = None) -> stats.Sums:
    mask = np.ones(len(units.values), bool) if mask is None else mask
    return stats.group_sums(units.values[mask], units.groups[mask], units.weights[mask])
