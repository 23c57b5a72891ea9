"""Which cells are no longer what their scores, pictures and settings give, and why.

Each cell is made anew by the code that made it, and held against what was recorded of it. Its lineage holds every score
and picture as it was then, so that those that changed can be named.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable

import pandas as pd

from madi import settle
from madi.config import edit_sha
from madi.editors import Editor
from madi.records import cell_id
from madi.settings import Sampler
from madi.tables import build
from madi.tables.sources import Source
from madi.tables.trace import queries

SHOWN = ("kind", "label", "text", "value", "low", "high", "n", "excluded", "missing", "reported", "reported_value")
USES = ["score_id", "edit_id", "score", "image"]
Block = tuple[str, str]  # table, block
Uses = dict[tuple[str, str], list[str]]  # (score, edit) -> what both were


def stale(
    cells: list[dict],
    source: Source,
    lineage: pd.DataFrame | None = None,
    watch: Callable[[list[Block]], Iterable[Block]] = iter,
) -> dict[str, list[str]]:
    """Cell id -> in what a cell differs from what `source` gives; cells that are as recorded are not in it.

    lineage: as recorded, to name the scores and pictures that changed. watch: goes through the blocks, to tell how far
    it is. Only blocks with one of `cells` are made.
    """
    mine: dict[Block, list[dict]] = {}
    for cell in cells:
        mine.setdefault((cell["table"], cell["block"]), []).append(cell)
    then = recorded(lineage)
    other = remade_editors(source)
    found = {}
    for block in watch(list(mine)):
        fresh = made(*block, source)
        for cell in mine[block]:
            key = cell_id(cell)
            now, uses = fresh.get(key, (None, {}))
            why = differences(cell, now, then(key), uses, source)
            why += [other[name] for name in editors_of(cell) if name in other]
            if why:
                found[key] = why
    return found


def made(table: str, key: str, source: Source) -> dict[str, tuple[dict, Uses]]:
    """The cells of one block by id, and what they use, as of now; nothing where no table declares it."""
    body = source.spec.all_tables().get(table)
    if body is None or key not in body.blocks:
        return {}
    pairs = build.block_cells(table, key, body.blocks[key], source)
    return {cell_id(cell): (cell, as_uses(build.uses(cell, scores, source.prints))) for cell, scores in pairs}


def as_uses(rows: Iterable[dict]) -> Uses:
    return {(row["score_id"], row["edit_id"]): [row["score"], row["image"]] for row in rows}


def recorded(lineage: pd.DataFrame | None) -> Callable[[str], Uses | None]:
    """The uses of a cell by its id; None without a lineage. One cell's are made at a time, since a lineage is long."""
    if lineage is None:
        return lambda key: None
    rows = lineage.groupby("cell_id").indices
    columns = [lineage[name].to_numpy(object) for name in USES]
    return lambda key: {
        (score, edit): was for score, edit, *was in zip(*(column[rows.get(key, [])] for column in columns))
    }


def differences(cell: dict, now: dict | None, then: Uses | None, uses: Uses, source: Source) -> list[str]:
    """What of one cell is not as recorded: first the scores and pictures, then the question, then what it shows."""
    if now is None:
        return ["no table asks for it any more"]
    why = changed_uses(then, uses, source) if then is not None else []
    if not why and cell["digest"] != now["digest"]:
        why.append(f"digest: recorded {cell['digest']}, its scores and pictures give {now['digest']}")
    why += changed_question(json.loads(cell["query"]), json.loads(now["query"]))
    pairs = [(name, cell[name], now[name]) for name in SHOWN]
    return why + [f"{name}: recorded {was}, now {is_}" for name, was, is_ in pairs if not same(was, is_)]


def changed_uses(then: Uses, now: Uses, source: Source) -> list[str]:
    """Scores that went, came or changed, and pictures that changed, each in words."""
    why, pictures = [], {}
    for pair in sorted(then.keys() | now.keys()):
        (score, edit), (was, is_) = pair, (then.get(pair), now.get(pair))
        if is_ is None:
            why.append(f"score {score} {source.board.name_of(edit, score)}: was {was[0]}, is gone or not used")
        elif was is None:
            why.append(f"score {score} {source.board.name_of(edit, score)}: is new")
        else:
            if was[0] != is_[0]:
                why.append(f"score {score} {source.board.name_of(edit, score)}: was {was[0]}, is {is_[0]}")
            if was[1] != is_[1]:
                pictures[edit] = f"{was[1] or 'none'}, is {is_[1] or 'none'}"
    return why + [f"picture of edit {edit} {source.board.name_of(edit)}: was {said}" for edit, said in pictures.items()]


def changed_question(was: dict, now: dict) -> list[str]:
    why = []
    old, new = (query["ask"] or {} for query in (was, now))
    if old != new:
        names = [name for name in old.keys() | new.keys() if old.get(name) != new.get(name)]
        if names == ["bar"]:
            why.append(f"its bar was {old['bar']}, is {new['bar']}")
        else:
            why.append(f"it asks something else now ({', '.join(sorted(names))})")
    if was["status"] != now["status"]:
        why.append(f"status: recorded {was['status']}, now {now['status']}")
    for mark, words in (("best", "the separated best of its column"), ("second", "the next after a separated best")):
        if was[mark] != now[mark]:
            why.append(f"is {words} now" if now[mark] else f"is no longer {words}")
    return why


def same(was: object, now: object) -> bool:
    """Equal; numbers to nine digits, since the order of a sum is the machine's."""
    if isinstance(was, float) and isinstance(now, float):
        return math.isclose(was, now, rel_tol=1e-9, abs_tol=1e-12)
    return was == now


def editors_of(cell: dict) -> list[str]:
    """The editors whose edits a cell asks about."""
    return list(dict.fromkeys(editor for query in queries(cell) for editor in query.editors))


def remade_editors(source: Source) -> dict[str, str]:
    """Editors whose edits were made by another configuration than the tables' slice says, in words."""
    settings, found = source.settings, {}
    sampler = Sampler.model_validate(settings["sampler"])
    for name, raw in settings["editors"].items():
        editor = settle.located(settings["name"], name, Editor.model_validate(raw))
        wanted = edit_sha(editor, sampler, settings["size_px"])
        if source.made_by.get(name, {wanted}) != {wanted}:
            found[name] = f"the edits of {name} were made by another configuration than the tables' slice"
    return found
