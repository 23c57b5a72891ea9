"""Which row of a column leads, where the numbers allow to say so."""

from collections import Counter

from madi import stats
from madi.tables.asking import Answer, digits_of, merged, strata_of
from madi.tables.sources import Source
from madi.tables.spec import Block, Row


def leaders(column: str, rows: dict[str, Row], block: Block, grid: dict, source: Source) -> tuple:
    """The row whose cell beats every rival's of its column, and the next after it by value, separated or not;
    (None, None) if there is none. A lead must be one that shows."""
    if block.system:
        return None, None  # rows of one system: its tasks, say
    found = rivals(column, rows, block, grid, source)
    if len(found) < 2:
        return None, None
    metric = merged(block, rows[next(iter(found))], block.columns[column]).metric
    sign = 1 if source.spec.metrics[metric].higher_is_better else -1
    top, second, *_ = sorted(found, key=lambda row: -sign * found[row].value)
    shows = 0.5 * 10 ** -digits_of(found[top].query, metric, source)  # the least that the cells can show
    if sign * (found[top].value - found[second].value) < shows:
        return None, None
    others = [made for row, made in found.items() if row != top]
    return (top, second) if all(beaten(found[top], made, source, sign) for made in others) else (None, None)


def rivals(column: str, rows: dict[str, Row], block: Block, grid: dict, source: Source) -> dict[str, Answer]:
    """The cells of a column that compete: reproduced ones, controls too, but no references and no gains; and of those
    only the ones that are about the same samples, as most are. What fewer samples give is no better or worse."""
    competing = {}
    for row, ask in rows.items():
        made, system = grid[row, column], source.spec.systems.get(merged(block, ask, block.columns[column]).system)
        if made.query and made.value is not None and not system.reference and ask.among is None:
            competing[row] = made
    sets = Counter(frozenset(made.units.asked) for made in competing.values())
    if not sets:
        return {}
    largest = max(sets, key=lambda samples: (len(samples), sets[samples]))
    return {row: made for row, made in competing.items() if made.units.asked == largest}


def beaten(top: Answer, other: Answer, source: Source, sign: int = 1) -> bool:
    """Whether the lead of one value over another, as the cells print them, has its paired 95 % interval above zero.
    sign: -1 where less is better."""
    pair = [strata_of(made.query, made.units) for made in (top, other)][::sign]
    interval = stats.lead_interval(*pair, source.resamples, source.seed)
    return interval is not None and interval[0] > 0
