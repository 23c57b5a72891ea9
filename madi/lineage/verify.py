"""Whether everything in a workflow's results is as it was recorded: said in one line, or what is not, by kind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from madi.errors import MadiError
from madi.lineage import cells, files, rows
from madi.lineage.finding import Finding, Seen, fault
from madi.records import cell_id
from madi.tables.trace import name_of
from madi.tables.workflow import Workflow

GROUPS = {
    "files": "Files that are gone",
    "configuration": "Settings that are not those that results were made by",
    "samples": "Samples",
    "weights": "Weights",
    "edits": "Edits",
    "scores": "Scores",
    "cells": "Cells that are not what their scores, pictures and settings give",
    "tables": "Tables",
    "kept": "Files that are not as they were when the report was made",
}
SHOWN = 10  # findings of a group, unless all are asked for


@dataclass
class Report:
    """What was found, what could not be looked at, and what was gone through."""

    findings: list[Finding]
    seen: Seen
    seconds: float
    resting: list[str] = field(default_factory=list)  # names of cells on edits that are not as recorded


def run(workflow: Workflow) -> Report:
    """Go through all of it. A file that cannot be read is a finding, and what needs it is left out."""
    start, seen = time.monotonic(), Seen()
    found = files.missing(workflow)
    whole = not found
    for check in (files.slices(workflow), files.samples(workflow, seen), files.weights(workflow, seen)):
        found += check
    found += [*files.scorers(workflow), *files.kept(workflow, seen)]
    found += rows.edits(workflow, seen)
    found += rows.scores(workflow, seen)
    resting = []
    if whole:
        found += readable(cells.check(workflow, seen), "cells")
        resting = cells_on(workflow, {one.edit for one in found if one.edit})
    else:
        seen.notes.append("cells were not made anew: they need the files that are gone")
    return Report(found, seen, time.monotonic() - start, resting)


def readable(check: Iterator[Finding], group: str) -> Iterator[Finding]:
    try:
        yield from check
    except MadiError as problem:
        yield fault(group, problem)


def cells_on(workflow: Workflow, edits: set[str]) -> list[str]:
    """The names of the cells that rest on some of these edits."""
    if not edits:
        return []
    try:
        lineage = workflow.lineage()
        names = {cell_id(cell): name_of(cell) for cell in workflow.cells()}
    except MadiError:
        return []  # told already
    return sorted({names[key] for key in lineage.loc[lineage["edit_id"].isin(edits), "cell_id"] if key in names})


def text(report: Report, whole: bool) -> str:
    """The report as lines; `whole`: every finding."""
    lines = []
    for group, title in GROUPS.items():
        mine = [one for one in report.findings if one.group == group]
        if mine:
            lines += [f"{title} ({len(mine):,})", *cut(together(mine, whole), whole), ""]
    if report.resting:
        lines += [f"Cells that rest on these edits ({len(report.resting):,})"]
        lines += [*cut([f"  {name}" for name in report.resting], whole), ""]
    lines += [f"note: {note}" for note in report.seen.notes]
    return "\n".join([*lines, summary(report)])


def together(findings: list[Finding], whole: bool) -> list[str]:
    """A line a finding; those that say the same are one line, with the first places."""
    places: dict[str, list[str]] = {}
    for one in findings:
        places.setdefault(one.what, []).append(one.where)
    lines = []
    for what, where in places.items():
        rest = 0 if whole else len(where) - 3
        shown = ", ".join(where if rest <= 0 else where[:3]) + (f" and {rest:,} more" if rest > 0 else "")
        lines.append(f"  {shown}: {what}" if len(where) == 1 else f"  {what} ({len(where):,}: {shown})")
    return lines


def cut(lines: list[str], whole: bool) -> list[str]:
    rest = 0 if whole else len(lines) - SHOWN
    return [*lines[:SHOWN], f"  and {rest:,} more (--all shows them)"] if rest > 0 else lines


def summary(report: Report) -> str:
    """`1,234 cells from 8,000 scores, 2,000 edits: all as recorded, 14 s`."""
    counts = report.seen.counts
    said = f"{counts['cells']:,} cells from {counts['scores']:,} scores, {counts['edits']:,} edits"
    differ = f"{len(report.findings):,} things are not as recorded" if report.findings else "all as recorded"
    return f"{said}: {differ}, {report.seconds:.0f} s"
