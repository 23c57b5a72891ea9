"""All that is behind one cell of a workflow's tables, gathered from its results."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from madi import provenance, shards
from madi.errors import MadiError
from madi.records import EDIT, SCORE, cell_id
from madi.tables import trace, words
from madi.tables.board import Query
from madi.tables.build import merged, with_references
from madi.tables.sources import Source
from madi.tables.stale import stale
from madi.tables.workflow import Workflow

ROWS = ["part", "sample_id", "value", "weight", "editor", "pause", "seed", "score_ids", "edit_id", "image_sha"]
ROWS += ["width", "height", "prompt"]
SHOWN = ["edit_id", "status", "image_sha", "width", "height", "prompt", "editor", "weights_sha", "config_sha"]


@dataclass
class Traced:
    """A cell, and what it comes from. rows: one a unit, the highest value first, of columns `ROWS`; `part` is empty but
    for a gain (of, over)."""

    name: str
    cell: dict
    asked: list[str]
    stale: list[str]
    rows: pd.DataFrame
    lost: list[tuple[str, str, str]] = field(default_factory=list)  # sample, excluded or missing, why
    editors: list[dict] = field(default_factory=list)
    backends: dict[str, list[str]] = field(default_factory=dict)
    benchmarks: dict[str, Path] = field(default_factory=dict)


def find(cells: list[dict], name: str) -> dict:
    """The cell of a name, `table/block/row/column`, or of an id. Errors: MadiError with the nearest names."""
    named = {trace.name_of(cell): cell for cell in cells}
    if len(named) < len(cells):
        raise MadiError(f"{len(cells) - len(named)} cells bear the name of another", "cells.parquet", "each name once")
    known = named | {cell_id(cell): cell for cell in cells} | {plain(key): cell for key, cell in named.items()}
    found = known.get(name) or known.get(plain(name))
    if found is None:
        near = difflib.get_close_matches(name, list(named), 3, 0.5)
        expected = f"one such as {', '.join(near)}" if near else "a name of those that --list shows"
        raise MadiError("no such cell", repr(name), expected, "--list shows all")
    return found


def plain(name: str) -> str:
    """A name without what people write in different ways: case, spaces, the sign for `at least`."""
    return "".join(name.strip("/").casefold().replace("≥", ">=").split())


def gather(workflow: Workflow, name: str) -> Traced:
    """Everything behind one cell. Errors: MadiError for a name that is none, and for files that cannot be read."""
    cell = find(workflow.cells(), name)
    source = workflow.source()
    lineage = workflow.lineage()
    mine = lineage[lineage["cell_id"] == cell_id(cell)]
    why = stale([cell], source, mine).get(cell_id(cell), [])
    found = Traced(trace.name_of(cell), cell, asked(cell, source), why, pd.DataFrame(columns=ROWS))
    queries = trace.queries(cell)
    if not queries:
        return found
    jobs = list(dict.fromkeys(workflow.job_of(editor) for query in queries for editor in query.editors))
    scores = shards.frame([path for job in jobs for path in workflow.scores[job]], SCORE)
    edits = shards.frame([path for job in jobs for path in workflow.edits[job]], EDIT, SHOWN)
    parts = ["of", "over"] if len(queries) == 2 else [""]
    found.rows = pd.concat([rows(query, part, source, edits) for query, part in zip(queries, parts)])
    found.lost = list(dict.fromkeys(one for query in queries for one in trace.lost(query, source.board, scores)))
    found.benchmarks = {query.benchmark: workflow.samples[query.benchmark] for query in queries}
    used = scores[scores["score_id"].isin(set(mine["score_id"]))]
    held = used["metric"] + "/" + used["against"]
    found.backends = {metric: sorted(set(some)) for metric, some in used["backend"].groupby(held)}
    names = dict.fromkeys(editor for query in queries for editor in query.editors)
    found.editors = [editor_of(name, workflow, edits) for name in names]
    return found


def asked(cell: dict, source: Source) -> list[str]:
    """What a cell asks, a line a query."""
    queries = trace.queries(cell)
    if len(queries) == 2:
        return [
            "By how many percent the first exceeds the second",
            *(line for q in queries for line in lines(q, source)),
        ]
    if queries:
        return lines(queries[0], source)
    return [declared(cell, source)]


def lines(query: Query, source: Source) -> list[str]:
    """A query as lines, a term each."""
    return [f"{term:<10} {said}" for term, said in words.asked(query, source.spec)]


def declared(cell: dict, source: Source) -> str:
    """What is said of a cell that is not of scores."""
    body = source.spec.all_tables().get(cell["table"])
    block = body.blocks.get(cell["block"]) if body else None
    if block and cell["column"] in block.columns and cell["row"] in (found := with_references(block, source.spec)):
        ask = merged(block, found[cell["row"]], block.columns[cell["column"]])
        if ask.fact is not None:
            return words.fact(ask.fact, ask.run, ask.benchmark)
    return f"Nothing: {json.loads(cell['query'])['status']}."


def rows(query: Query, part: str, source: Source, edits: pd.DataFrame) -> pd.DataFrame:
    """A line a unit, with what its edit is."""
    units = trace.units_of(query, source.board)
    frame = pd.DataFrame([vars(unit) for unit in units], columns=list(trace.Unit.__dataclass_fields__))
    frame["part"] = part
    frame["score_ids"] = [named(trace.scores_of(unit, query, source.board)) for unit in units]
    about = edits.drop_duplicates("edit_id").set_index("edit_id")
    about = about[["image_sha", "width", "height", "prompt"]].reindex(frame["edit_id"])
    for name in about:
        frame[name] = about[name].to_numpy()
    return frame[ROWS]


def named(scores: dict[str, str]) -> str:
    """`dino/source=<id>`, with a space between."""
    return " ".join(f"{name}={score}" for name, score in scores.items())


def editor_of(name: str, workflow: Workflow, edits: pd.DataFrame) -> dict:
    """What an editor is, what its edits were made with, and of a trained one where its training is told of."""
    editor = workflow.slice.editors[name]
    mine = edits[edits["editor"] == name]
    told = {"editor": name, "kind": editor.kind, "job": workflow.job_of(name), "edits": len(mine)}
    told["weights_sha"] = sorted(set(mine["weights_sha"].dropna()))
    told["config_sha"] = sorted(set(mine["config_sha"]))
    if editor.run:
        folder = workflow.folder / "runs" / editor.run
        told |= {"run": editor.run, "weights": folder / "weights.json", "training": folder / "config.json"}
        told["training_sha"] = provenance.file_sha(told["training"]) if told["training"].is_file() else None
        told["files"] = len(shards.read_json(told["weights"])) if told["weights"].is_file() else None
    return told
