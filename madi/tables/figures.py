"""Figures 6, 7 and 8 as plots of their cells: SVG and PNG, the same bytes for the same cells.

A figure is declared like a table. Figure 6 compares systems (rows) before and after choosing, one panel a metric;
Figures 7 and 8 do so for one system by task (rows).
"""

from pathlib import Path

import matplotlib

from madi.shards import atomic
from madi.tables.spec import Block, Table, TablesSpec
from madi.tables.write import Cells, heading, index, table_name

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402  (the backend is chosen first)

STYLE = {
    "svg.hashsalt": "madi",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "legend.frameon": False,
}
METADATA = {"svg": {"Date": None, "Creator": "madi"}, "png": {"Software": None}}
SHADES = (0.35, 1.0, 0.65)  # how strongly the system's colour is laid on: before, after, control
HATCHES = ("", "", "///")


def panels(block: Block) -> dict[str, list[str]]:
    """Columns by group: a panel each."""
    found: dict[str, list[str]] = {}
    for key, column in block.columns.items():
        found.setdefault(column.group or "", []).append(key)
    return found


def draw(name: str, table: Table, cells: Cells, bars: dict, spec: TablesSpec):
    """One figure; every cell without a value leaves a gap."""
    (key, block), *_ = table.blocks.items()
    by_panel = panels(block)
    wide = 8.4 if len(by_panel) > 1 or len(block.rows) > 4 else 4.6
    figure, axes = plt.subplots(1, len(by_panel), figsize=(wide, 3.4), squeeze=False, layout="constrained")
    for axis, (group, columns) in zip(axes[0], by_panel.items()):
        bars_of_panel(axis, block, columns, {(r, c): cells[name, key, r, c] for r in block.rows for c in columns}, spec)
        axis.set_ylabel(group or block.metric)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(handles), fontsize=8)
    figure.suptitle(f"{table_name(name)}. {heading(table.title, bars, spec)}", fontsize=10, x=0.01, ha="left")
    return figure


def bars_of_panel(axis, block: Block, columns: list[str], cells: dict, spec: TablesSpec) -> None:
    """Groups of bars with 95 % intervals, one group a row; the paper's value as a diamond."""
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
                label = None if told else "paper"
                axis.plot(place, cell["reported_value"], "D", ms=4.5, mfc="white", mec="black", zorder=4, label=label)
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


def write_figures(folder: Path, cells: list[dict], bars: dict, spec: TablesSpec) -> list[Path]:
    """Write figure_<n>.{svg,png} of every declared figure; returns the paths."""
    found, written = index(cells), []
    with plt.rc_context(STYLE):
        for name, table in spec.figures.items():
            figure = draw(name, table, found, bars, spec)
            for ending, metadata in METADATA.items():
                written.append(folder / f"{name}.{ending}")
                with atomic(written[-1]) as partial:
                    figure.savefig(partial, format=ending, metadata=metadata, dpi=160)
            plt.close(figure)
    return written
