"""Every cell's number is what its traced samples give."""

import numpy as np
import pytest

from madi.tables import build, trace


@pytest.fixture(scope="module")
def cells(made):
    return build.build(made.source)[0]


def test_a_cells_value_is_the_weighted_mean_of_its_units(made, cells):
    seen = 0
    for cell in cells:
        asked = trace.queries(cell)
        if len(asked) != 1 or asked[0].statistic == "macro" or cell["value"] is None:
            continue
        units = trace.units(cell, made.source.board)
        mean = np.average([unit.value for unit in units], weights=[unit.weight for unit in units])
        assert mean == pytest.approx(cell["value"], abs=1e-9), cell["label"]
        assert len({unit.sample_id for unit in units}) == cell["n"]
        seen += 1
    assert seen > 300


def test_a_choice_is_traced_to_the_chosen_edit_alone(made, cells):
    [cell] = [
        c
        for c in cells
        if (c["table"], c["row"], c["column"]) == ("1", "magd_ep_scaled", "CLIP-Dir") and c["block"] == "emu_edit"
    ]
    units = trace.units(cell, made.source.board)
    assert len(units) == len({unit.sample_id for unit in units}) == cell["n"]
    assert len({unit.pause for unit in units}) > 1
    values = made.source.board.column("clip_dir/source")[0]
    keys = made.source.board.keys
    for unit in units:
        rivals = (keys["sample_id"] == unit.sample_id) & (keys["editor"] == "magd_ep") & (keys["seed"] == 0)
        assert unit.value == values[rivals].max()


def test_a_gain_is_traced_to_both_rows(made, cells):
    [cell] = [c for c in cells if c["table"] == "5" and c["row"] == "magd_ep_gain" and c["column"] == "complexity=0"]
    assert len(trace.queries(cell)) == 2
    assert {unit.pause for unit in trace.units(cell, made.source.board)} > {0}


def test_a_cell_that_is_not_of_scores_has_no_units(made, cells):
    assert all(trace.units(c, made.source.board) == [] for c in cells if c["kind"] != "scores")
