"""Declared tables as the page's template shows them: blocks, heads, rows, and cells that open."""

import base64
from dataclasses import dataclass
from pathlib import Path

from madi.tables import write
from madi.tables.spec import Block, Table, TablesSpec


@dataclass
class RowView:
    title: str
    kind: str  # paper, extra, reference
    colour: str
    note: str  # said once where it holds of the whole row
    cells: list[write.View]


@dataclass
class BlockView:
    title: str
    groups: list[tuple[str, int]]  # heading and how many columns it spans; empty if there are none
    columns: list[tuple[str, bool, bool]]  # title, extra, whether there is something to sort by
    rows: list[RowView]


@dataclass
class TableView:
    anchor: str
    name: str
    title: str
    caption: str
    blocks: list[BlockView]
    plot: str = ""  # data URI of the figure


def table_view(name: str, table: Table, cells: write.Cells, bars: dict, spec: TablesSpec) -> TableView:
    """A declared table as the template shows it."""
    blocks = []
    for key, block in table.blocks.items():
        heads = write.column_titles(block, bars, spec)
        rows = []
        for row, (title, kind) in write.row_titles(block, spec).items():
            views = [write.view(cells[name, key, row, column]) for column in block.columns]
            rows.append(RowView(title, kind, colour_of(row, kind, block, spec), shared_note(views), views))
        sorts = [sum(row.cells[i].cell["value"] is not None for row in rows) > 1 for i in range(len(block.columns))]
        columns = [(heads[c][1], block.columns[c].extra, many) for c, many in zip(block.columns, sorts)]
        blocks.append(BlockView(block.title or "", spans([group for group, _ in heads.values()]), columns, rows))
    title, caption = (write.heading(text, bars, spec) for text in (table.title, table.caption))
    return TableView(f"table-{name}", write.table_name(name, table.name), title, caption, blocks)


def colour_of(row: str, kind: str, block: Block, spec: TablesSpec) -> str:
    """The colour of a row's system where it is run here, empty for those only reported."""
    system = row if kind == "reference" else block.rows[row].system or block.system
    return spec.systems[system].colour if system and spec.systems[system].editors else ""


def shared_note(views: list[write.View]) -> str:
    notes = {view.note for view in views if view.note}
    return notes.pop() if len(notes) == 1 and all(view.note or view.text == "–" for view in views) else ""


def spans(groups: list[str]) -> list[tuple[str, int]]:
    """Neighbouring columns of one heading together; empty if no column has one."""
    found: list[tuple[str, int]] = []
    for group in groups:
        if found and found[-1][0] == group:
            found[-1] = (group, found[-1][1] + 1)
        else:
            found.append((group, 1))
    return found if any(group for group, _ in found) else []


def plot_uri(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()
