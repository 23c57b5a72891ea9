"""Which row of a column leads, where the numbers allow to say so."""

from madi.tables import stats
from madi.tables.asking import Answer, digits_of, merged, strata_of
from madi.tables.sources import Source
from madi.tables.spec import Block, Row


def leaders(column: str, rows: dict[str, Row], block: Block, grid: dict, source: Source) -> tuple:
    """The row whose cell beats every other reproduced row's of its column, controls too, and the next after it by
    value, separated or not; (None, None) if there is none.

    References and gains do not compete, nor do rows of one system (its tasks, say), nor a row that is another over
    fewer samples. A lead must be one that shows.
    """
    if block.system:
        return None, None
    rivals = {}
    for row, ask in rows.items():
        made, whole = grid[row, column], merged(block, ask, block.columns[column])
        system = source.spec.systems.get(whole.system)
        if made.query and made.value is not None and not system.reference and ask.among is None:
            rivals[row] = made if source.spec.metrics[whole.metric].higher_is_better else None
            shows = 0.5 * 10 ** -digits_of(made.query, whole.metric, source)  # the least that the cells can show
    if len(rivals) < 2 or None in rivals.values():
        return None, None
    top, second, *_ = sorted(rivals, key=lambda row: -rivals[row].value)
    others = [made for row, made in rivals.items() if row != top]
    if rivals[top].value - rivals[second].value < shows:
        return None, None
    return (top, second) if all(beaten(rivals[top], made, source) for made in others) else (None, None)


def beaten(top: Answer, other: Answer, source: Source) -> bool:
    """Whether the difference of the two values, as the cells print them, has its paired 95 % interval above zero."""
    first, second = (strata_of(made.query, made.units) for made in (top, other))
    interval = stats.lead_interval(first, second, source.resamples, source.seed)
    return interval is not None and interval[0] > 0
