"""Figures that tables.yaml declares: a block of cells each, plotted as it says."""

from __future__ import annotations

from pathlib import Path

from madi.tables.figures import bars, frontier, lines
from madi.tables.figures.style import STYLE, plt, save
from madi.tables.spec import Block, Figure, TablesSpec
from madi.tables.write import Cells, heading, index, table_name

PLOTS = {"bars": bars.draw, "lines": lines.draw, "frontier": frontier.draw}


def panels(block: Block) -> dict[str, list[str]]:
    """Columns by group: a panel each."""
    found: dict[str, list[str]] = {}
    for key, column in block.columns.items():
        found.setdefault(column.group or "", []).append(key)
    return found


def draw(name: str, figure: Figure, cells: Cells, held_to: dict, spec: TablesSpec):
    """One figure. held_to: the bars of the thresholds, by name, for its title."""
    (key, block), *_ = figure.blocks.items()
    mine = {(row, column): cells[name, key, row, column] for row in block.rows for column in block.columns}
    drawn = PLOTS[figure.plot](block, panels(block), mine, spec)
    title = heading(figure.title, held_to, spec)
    drawn.suptitle(title if figure.name else f"{table_name(name)}. {title}", fontsize=10, x=0.01, ha="left")
    return drawn


def write_figures(folder: Path, cells: list[dict], held_to: dict, spec: TablesSpec) -> list[Path]:
    """Write <figure>.{svg,png} of every declared figure; returns the paths."""
    found, written = index(cells), []
    with plt.rc_context(STYLE):
        for name, figure in spec.figures.items():
            written += save(draw(name, figure, found, held_to, spec), folder, name)
    return written
