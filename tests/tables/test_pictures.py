"""Grids of pictures: samples by the stated rule, each column's own edit, nothing by hand."""

import numpy as np
import pandas as pd
import pytest

from madi.errors import MadiError
from madi.tables.figures import curves, pictures
from madi.tables.spec import Ask, Grid


@pytest.fixture(scope="module")
def grid() -> Grid:
    columns = {
        "plain": {"system": "magd_ep", "title": "no scaling"},
        "scaled": {"system": "magd_ep", "pauses": [0, 8, 16, 32], "select": "best_clip_dir"},
        "gone": {"system": "instruct_pix2pix"},
    }
    return Grid.model_validate({"title": "t", "benchmark": "emu_edit", "columns": columns, "notes": ["CLIP-Dir"]})


def by_rule(grid, rule, made, **changes):
    return pictures.fill("figure_2", grid.model_copy(update={"rule": rule, "by": "plain"} | changes), made.source)


def values(made):
    board = made.source.board
    mine = (board.keys["editor"] == "magd_ep") & (board.keys["benchmark"] == "emu_edit")
    mine &= (board.keys["pause"] == 0) & (board.keys["seed"] == 0)
    found = pd.Series(board.column("clip_dir/source")[0][mine], index=board.keys["sample_id"][mine].astype(str))
    return found.dropna()


def test_rules_rank_by_the_columns_own_clip_dir(made, grid):
    told = values(made).sort_values()
    assert by_rule(grid, "top", made).rows == list(told.index[::-1][:4])
    assert by_rule(grid, "worst", made).rows == list(told.index[:4])
    spread = by_rule(grid, "spread", made).rows
    assert (spread[0], spread[-1]) == (told.index[0], told.index[-1]) and list(told[spread]) == sorted(told[spread])
    near = by_rule(grid, "median", made).rows
    assert max(abs(told[near] - told.median())) <= min(abs(told.drop(near) - told.median()))


def test_disagreement_is_of_ranks(made, grid):
    rows = by_rule(grid, "disagree", made).rows
    told, board = values(made), made.source.board
    judge = dict(zip(board.keys["edit_id"], board.column("qa_mllm/judge")[0]))
    units = by_rule(grid, "top", made, rows=100).units
    ranks = pd.DataFrame(
        {"dir": told.rank(), "mllm": pd.Series({s: judge[units["plain", s].edit_id] for s in told.index}).rank()}
    )
    apart = (ranks["dir"] - ranks["mllm"]).abs()
    assert min(apart[rows]) >= max(apart.drop(rows))


def test_a_scaled_column_shows_the_chosen_edit_and_says_its_pauses(made, grid):
    filled = by_rule(grid, "top", made, rows=24)
    assert filled.columns == ["plain", "scaled"]  # a system that was not run has no column
    chosen = [filled.units["scaled", name] for name in filled.rows]
    assert {unit.pause for unit in chosen} > {0}
    for unit in chosen:
        note = filled.notes[unit.edit_id]
        assert note.startswith(f"{unit.pause} pauses") == bool(unit.pause) and f"CLIP-Dir {unit.value:.3f}" in note
        assert unit.value >= filled.units["plain", unit.sample_id].value


def test_seeded_rows_change_with_the_seed_and_keep_levels_in_order(made, grid):
    rows = by_rule(grid, "seeded", made, rows=8).rows
    other = made.source.__class__(**{**vars(made.source), "seed": 1})
    again = pictures.fill("figure_2", grid.model_copy(update={"by": "plain", "rows": 8}), other).rows
    assert rows == by_rule(grid, "seeded", made, rows=8).rows != again
    levels = grid.model_copy(
        update={"benchmark": "complex_edit", "columns": {"a": Ask(system="magd_ep")}, "metric": "MLLM", "by": "a"}
    )
    chosen = pictures.fill("figure_4", levels, made.source).rows
    complexity = dict(zip(made.source.samples.sample_id, made.source.samples.complexity))
    assert [complexity[name] for name in chosen] == [1, 2, 3, 4]


def test_every_declared_grid_is_drawn_the_same_again(made, tmp_path):
    few = {name: made.source.spec.grids[name] for name in ("figure_2", "figure_4", "figure_5", "figure_20")}
    source = made.source.__class__(**{**vars(made.source), "spec": made.source.spec.model_copy(update={"grids": few})})
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        written = pictures.write(tmp_path / folder, source, made.samples, [made.edits])
        assert [path.stem for path in written] == list(few)
    for name in few:
        assert (tmp_path / f"a/{name}.png").read_bytes() == (tmp_path / f"b/{name}.png").read_bytes()


def test_training_curves_are_of_the_runs_tables_and_a_broken_one_is_named(made, tmp_path):
    steps = pd.DataFrame({"step": np.arange(1, 21)} | {name: np.linspace(1, 0.5, 20) for name in curves.PANELS})
    steps.to_csv(tmp_path / "ft.csv", index=False)
    written = curves.write(tmp_path, {"ft": tmp_path / "ft.csv"}, made.source.spec)
    assert [path.name for path in written] == ["figure_training.svg", "figure_training.png"]
    assert made.source.spec.systems["ft"].colour.lower() in written[0].read_text().lower()
    steps.drop(columns="masked").to_csv(tmp_path / "bad.csv", index=False)
    with pytest.raises(MadiError, match=r"bad\.csv: no column masked"):
        curves.write(tmp_path, {"ft": tmp_path / "bad.csv"}, made.source.spec)
