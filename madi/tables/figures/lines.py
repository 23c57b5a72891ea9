"""Values along an order, such as levels of complexity or pause counts: a line a row, one panel a metric.

The paper's values, where it gives any, have panels of their own: its backbones and judge are others, and one axis for
both would flatten the smaller differences.
"""

from __future__ import annotations

from madi.tables.figures.style import PAPER, legend_below, plt
from madi.tables.spec import Block, TablesSpec

APART = 0.035
DASHES = ("-", "--", ":", "-.")  # rows of one colour


def draw(block: Block, panels: dict[str, list[str]], cells: dict, spec: TablesSpec):
    """One figure of a block. cells: by row and column; the columns of a panel are its x axis, in their order."""
    printed = any(cell["reported_value"] is not None for cell in cells.values())
    kinds = ["value", "reported_value"] if printed else ["value"]
    count = len(panels) * len(kinds)
    figure, axes = plt.subplots(1, count, figsize=(max(7.0, 2.9 * count), 3.4), squeeze=False, layout="constrained")
    places = [(group, columns, kind) for group, columns in panels.items() for kind in kinds]
    for axis, (group, columns, kind) in zip(axes[0], places):
        for at, (row, colour, dash) in enumerate(styles(block, spec)):
            shift = APART * (at - (len(block.rows) - 1) / 2)  # so that intervals do not hide one another
            style = {"color": colour, "ls": dash, "label": block.rows[row].title or row}
            curve(axis, [cells[row, column] for column in columns], kind, shift, style)
        axis.set_xticks(range(len(columns)), [block.columns[column].title or column for column in columns])
        axis.set_xlim(-0.3, len(columns) - 0.7)
        axis.set_title("paper" if kind != "value" else "here" if printed else "", fontsize=9)
        axis.set_ylabel(group or block.metric)
        axis.set_xlabel(block.across)
    legend_below(figure, axes[0][0], most=3)
    return figure


def styles(block: Block, spec: TablesSpec):
    """(row, colour, dash) of every row: a colour a system, another dash for each further row of that colour."""
    seen: dict[str, int] = {}
    for key, row in block.rows.items():
        system = row.system or block.system or next(iter(row.systems.values()))
        colour = spec.systems[system].colour
        seen[colour] = seen.get(colour, -1) + 1
        yield key, colour, DASHES[seen[colour] % len(DASHES)]


def curve(axis, cells: list[dict], kind: str, shift: float, style: dict) -> None:
    """A line with intervals; gaps where there is no value."""
    values = [float("nan") if cell[kind] is None else cell[kind] for cell in cells]
    places = [place + shift for place in range(len(values))]
    marker = {"marker": "o", "ms": 4} if kind == "value" else {name: PAPER[name] for name in ("marker", "ms", "mfc")}
    axis.plot(places, values, **style, **marker, lw=1.5)
    for place, cell in zip(places, cells):
        if kind == "value" and cell["value"] is not None and cell["low"] is not None:
            axis.plot([place, place], [cell["low"], cell["high"]], color=style["color"], lw=1, alpha=0.5)
