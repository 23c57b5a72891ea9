"""A changed score, picture or setting marks exactly the cells that rest on it, and is named."""

import json
from types import SimpleNamespace

import made_tables
import pandas as pd
import pytest

from madi.records import cell_id
from madi.tables import build, sources, stale, trace
from madi.tables.board import Board


@pytest.fixture(scope="module")
def made(made):
    """Some of the made-up workflow's tables: choices, bars, gains and settings are all in them."""
    spec = made.source.spec
    few = spec.model_copy(update={"tables": {name: spec.tables[name] for name in ("2", "3", "5", "8")}, "figures": {}})
    source = sources.Source(**vars(made.source) | {"spec": few})
    cells, lineage = build.build(source)
    return SimpleNamespace(source=source, cells=cells, lineage=lineage, frame=made.frame)


@pytest.fixture(scope="module")
def lineage(made):
    return pd.DataFrame(made.lineage)


def changed_source(made, frame: pd.DataFrame):
    """The workflow's source with other scores, its bars and prints made anew."""
    board = Board(frame, made.source.samples)
    prints = made.source.prints | {row.score_id: f"{row.value!r} {row.status}" for row in frame.itertuples()}
    asked = {name: made.source.settings[f"{name}_threshold"] for name in ("dino", "clip_dir")}
    bars = sources.bars_of(made.source.spec, board, asked)
    return sources.Source(**vars(made.source) | {"board": board, "prints": prints, "bars": bars})


def resting_on(lineage, column: str, key: str) -> set[str]:
    return set(lineage.loc[lineage[column] == key, "cell_id"])


def test_nothing_is_stale_where_nothing_changed(made, lineage):
    assert stale.stale(made.cells, made.source, lineage) == {}


@pytest.mark.parametrize("victim", ["first", "middle", "last", "chosen among"])
def test_a_changed_score_marks_exactly_its_cells_and_those_whose_choice_or_lead_turns_on_it(made, lineage, victim):
    frame = made.frame()
    scored = lineage.score_id[lineage.score_id.isin(frame.score_id[frame.value.notna()])].to_list()
    paused = frame[(frame.metric == "clip_dir") & (frame.pause == 16) & (frame.editor == "magd_ep")].score_id.iloc[1]
    key = {"first": scored[0], "middle": scored[len(scored) // 2], "last": scored[-1], "chosen among": paused}[victim]
    mine = resting_on(lineage, "score_id", key)
    frame.loc[frame.score_id == key, "value"] += 0.001
    source = changed_source(made, frame)
    found = stale.stale(made.cells, source, lineage)
    fresh, _ = build.build(source)
    assert mine and mine <= found.keys()
    for cell, now in zip(made.cells, fresh, strict=True):
        why = found.get(cell_id(cell), [])
        if cell_id(cell) in mine:
            assert any(line.startswith(f"score {key} ") and ": was " in line for line in why), why
        else:  # only the mark of its column's best may turn on another row's score
            assert all("separated best" in line for line in why), why  # or of the next after it
            assert cell["query"] != now["query"] if why else cell == now


def test_a_score_that_a_bar_is_taken_from_marks_all_cells_held_to_the_bar(made, lineage):
    frame = made.frame()
    validated = (frame.benchmark == "validation") & (frame.metric == "dino")
    frame.loc[validated, "value"] += 0.01
    source = changed_source(made, frame)
    found = stale.stale(made.cells, source, lineage)
    held = {
        cell_id(cell)
        for cell in made.cells
        if (json.loads(cell["query"])["ask"] or {}).get("select") == "dino_at_least"
    }
    assert held and held == {key for key, why in found.items() if any("its bar was" in line for line in why)}
    touched = set(lineage.loc[lineage.score_id.isin(frame.score_id[validated]), "cell_id"])
    only_best = {key for key, why in found.items() if all("separated best" in line for line in why)}
    assert found.keys() - only_best == held | touched


def test_a_changed_picture_marks_exactly_the_cells_of_its_edit(made, lineage):
    key = lineage.edit_id[len(lineage) // 3]
    source = sources.Source(**vars(made.source) | {"prints": made.source.prints | {key: "f" * 16}})
    found = stale.stale(made.cells, source, lineage)
    assert found.keys() == resting_on(lineage, "edit_id", key)
    for why in found.values():
        assert len(why) == 1 and why[0].startswith(f"picture of edit {key} ") and "f" * 16 in why[0]


def test_a_changed_setting_of_an_editor_marks_exactly_the_cells_of_its_edits(made, lineage):
    settings = json.loads(json.dumps(made.source.settings))
    settings["editors"]["magd_ep"]["pauses_as"] = "filler"
    source = sources.Source(**vars(made.source) | {"settings": settings})
    found = stale.stale(made.cells, source, lineage)
    mine = {cell_id(cell) for cell in made.cells if "magd_ep" in stale.editors_of(cell)}
    assert found.keys() == mine and len(mine) < len(made.cells)
    assert all("the edits of magd_ep were made by another configuration" in why[0] for why in found.values())


def test_a_changed_setting_that_a_table_shows_marks_the_cells_that_show_it(made, lineage):
    settings = json.loads(json.dumps(made.source.settings))
    settings["runs"]["magd"]["learning_rate"] = 0.5
    source = sources.Source(**vars(made.source) | {"settings": settings})
    found = stale.stale(made.cells, source, lineage)
    shown = {cell_id(a) for a, b in zip(made.cells, build.build(source)[0]) if a["text"] != b["text"]}
    assert found.keys() == shown and 0 < len(shown) < 20
    assert all(any(line.startswith("text: recorded ") for line in why) for why in found.values())


def test_a_score_that_went_or_came_is_named(made, lineage):
    frame = made.frame()
    key = lineage.score_id[0]
    found = stale.stale(made.cells, changed_source(made, frame[frame.score_id != key]), lineage)
    assert resting_on(lineage, "score_id", key) <= found.keys()
    assert any(line.startswith(f"score {key} ") and "is gone" in line for why in found.values() for line in why)
    without = lineage[lineage.score_id != key]
    back = stale.stale(made.cells, made.source, without)
    assert back.keys() == resting_on(lineage, "score_id", key)
    assert all("is new" in line for why in back.values() for line in why)


@pytest.mark.parametrize("column, other", [("value", 0.1), ("text", "0.1"), ("n", 7), ("low", None), ("digest", "0")])
def test_an_edited_cell_is_told_by_what_was_edited(made, lineage, column, other):
    cell = next(c for c in made.cells if trace.name_of(c) == "2/emu_edit/magd_ep/DINO")
    found = stale.stale([cell | {column: other}], made.source, lineage)
    assert [line.split(":")[0] for line in found[cell_id(cell)]] == [column]


def test_without_a_lineage_a_cell_is_marked_by_its_digest(made):
    key = made.lineage[0]["edit_id"]
    source = sources.Source(**vars(made.source) | {"prints": made.source.prints | {key: "f" * 16}})
    found = stale.stale(made.cells, source)
    assert found.keys() == {row["cell_id"] for row in made.lineage if row["edit_id"] == key}
    assert all(why[0].startswith("digest: ") for why in found.values())


def test_a_cell_that_no_table_declares_is_told(made):
    cell = made.cells[0] | {"row": "gone"}
    assert stale.stale([cell], made.source) == {cell_id(cell): ["no table asks for it any more"]}


def test_the_configuration_that_edits_were_made_by_is_their_jobs_own():
    assert len(set(made_tables.config_shas().values())) > 5


def test_a_moved_mark_is_told_of_both_places(made, lineage):
    """The best's and the next one's: cells of a column whose scores did not change."""
    cells = [dict(cell) for cell in made.cells]
    marked = {}
    for mark in ("best", "second"):
        measured = [n for n, cell in enumerate(cells) if cell["n"] and cell_id(cell) not in marked]
        query = json.loads(cells[measured[0]]["query"])
        place, query[mark] = measured[0], not query[mark]
        cells[place]["query"] = json.dumps(query, sort_keys=True)
        marked[cell_id(cells[place])] = mark
    found = stale.stale(cells, made.source, lineage)
    assert found.keys() == marked.keys()
    assert all("separated best" in line for why in found.values() for line in why)
