"""Cells made anew from their scores, and held against those that are recorded; the tables' files against the cells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from madi.lineage.finding import Finding, Seen
from madi.progress import progress
from madi.records import cell_id
from madi.tables import write
from madi.tables.build import with_references
from madi.tables.sources import Source, bars_in
from madi.tables.stale import stale
from madi.tables.trace import name_of
from madi.tables.workflow import Workflow

CAUSES = ("score ", "picture ", "the edits of ")  # what many cells may share; what follows of it is a cell's own


def check(workflow: Workflow, seen: Seen) -> Iterator[Finding]:
    """Every recorded cell, and every declared one."""
    cells, lineage = workflow.cells(), workflow.lineage()
    source = workflow.source()
    seen.counts["cells"] = len(cells)
    found = stale(cells, source, lineage, lambda blocks: progress(blocks, len(blocks), "tables"))
    names = {cell_id(cell): name_of(cell) for cell in cells}
    yield from (Finding("cells", names[k], what) for k, why in found.items() for what in why if what.startswith(CAUSES))
    for key, why in found.items():
        if own := "; ".join(what for what in why if not what.startswith(CAUSES)):
            yield Finding("cells", names[key], own)
    for name, count in Counter(name_of(cell) for cell in cells).items():
        if count > 1:
            yield Finding("cells", name, f"comes {count} times")
    for name in sorted(declared(source) - set(names.values())):
        yield Finding("cells", name, "is declared, and is not there")
    strangers = sorted(set(lineage["cell_id"]) - names.keys())
    if strangers:
        where = str(workflow.folder / "lineage.parquet")
        yield Finding("cells", where, f"{len(strangers)} cells that are not there, such as {strangers[0]}")
    yield from printed(workflow, cells, source)


def declared(source: Source) -> set[str]:
    """The names of all cells that the tables' specification asks for."""
    return {
        "/".join((table, key, row, column))
        for table, body in source.spec.all_tables().items()
        for key, block in body.blocks.items()
        for row in with_references(block, source.spec)
        for column in block.columns
    }


def printed(workflow: Workflow, cells: list[dict], source: Source) -> Iterator[Finding]:
    """The tables as CSV, Markdown and LaTeX against the recorded cells."""
    if {name_of(cell) for cell in cells} != declared(source):
        return  # told already; such tables cannot be written
    for name, text in write.texts(cells, source.bars | bars_in(cells), source.spec).items():
        path = workflow.folder / "tables" / name
        if not path.is_file():
            yield Finding("files", str(path), "no such file")
        elif (lines := path.read_text(encoding="utf-8", errors="replace").splitlines()) != text.splitlines():
            pairs = zip([*lines, None], [*text.splitlines(), None])
            first = next(number for number, (here, there) in enumerate(pairs, 1) if here != there)
            yield Finding("tables", f"{path} line {first}", "is not what cells.parquet gives")
