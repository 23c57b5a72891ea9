"""Figures 6, 7 and 8: groups of bars, one a row, with intervals; the paper's values as diamonds.

Figure 6 compares systems (rows) before and after choosing, one panel a metric; Figures 7 and 8 do so for one system by
task (rows).
"""

from __future__ import annotations

import matplotlib

from madi.tables.figures.style import PAPER, legend_below, plt
from madi.tables.spec import Block, TablesSpec

SHADES = (0.35, 1.0, 0.65)  # how strongly the system's colour is laid on: before, after, control
HATCHES = ("", "", "///")


def draw(block: Block, panels: dict[str, list[str]], cells: dict, spec: TablesSpec):
    """One figure of a block. cells: by row and column; one without a value leaves a gap."""
    wide = 8.4 if len(panels) > 1 or len(block.rows) > 4 else 4.6
    figure, axes = plt.subplots(1, len(panels), figsize=(wide, 3.4), squeeze=False, layout="constrained")
    for axis, (group, columns) in zip(axes[0], panels.items()):
        panel(axis, block, columns, cells, spec)
        axis.set_ylabel(group or block.metric)
    legend_below(figure, axes[0][0])
    return figure


def panel(axis, block: Block, columns: list[str], cells: dict, spec: TablesSpec) -> None:
    """Groups of bars with 95 % intervals, one group a row."""
    width = 0.8 / len(columns)
    colours = [spec.systems[row.system or block.system].colour for row in block.rows.values()]
    told = False
    for i, column in enumerate(columns):
        places = [r + (i - (len(columns) - 1) / 2) * width for r in range(len(block.rows))]
        for place, row, colour in zip(places, block.rows, colours):
            cell = cells[row, column]
            if cell["value"] is not None:
                one_bar(axis, place, cell, width, colour, i)
            if cell["reported_value"] is not None:
                axis.plot(place, cell["reported_value"], **PAPER, label=None if told else "paper")
                told = True
        shade = matplotlib.colors.to_rgba("#444444", SHADES[i])
        axis.bar([0], [0], color=shade, hatch=HATCHES[i], edgecolor="white", label=block.columns[column].title)
    titles = [row.title or key for key, row in block.rows.items()]
    axis.set_xticks(range(len(titles)), titles)
    axis.set_xlim(-0.6, len(titles) - 0.4)
    axis.axhline(0, color="#444444", lw=0.8)


def one_bar(axis, place: float, cell: dict, width: float, colour: str, i: int) -> None:
    shade = matplotlib.colors.to_rgba(colour, SHADES[i])
    axis.bar(place, cell["value"], width * 0.94, color=shade, hatch=HATCHES[i], edgecolor="white", linewidth=0)
    if cell["low"] is not None:
        axis.plot([place, place], [cell["low"], cell["high"]], color="#222222", lw=1, zorder=3)
