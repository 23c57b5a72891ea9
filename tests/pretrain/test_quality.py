"""`madi tinyworld quality`: right targets are perfect, copies keep all and follow nothing, losses are counted."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from madi.pretrain import quality
from madi.pretrain.tinyworld import app
from madi.scenes.parse import read
from madi.scenes.render import render
from madi.scenes.samples import items
from madi.scenes.truth import judge

TINY = Path(__file__).parents[2] / "assets/tiny/omnigen"
ITEMS = list(items("edit", "validation", 16, 0))


def measured(scene_of) -> dict:
    return quality.summary(ITEMS, [judge(item.sources, item.ops, render(scene_of(item))) for item in ITEMS])


def test_right_targets_are_clean_in_every_task():
    table = measured(lambda item: item.target)
    assert table["all"] == {"n": 16, "if": 10.0, "idp": 10.0, "pq": 10.0, "clean": 1.0}
    assert {key: row["n"] for key, row in table.items() if key not in ("all", "untouched")} == {
        task: 2 for task in {item.task for item in ITEMS}
    }
    assert table["untouched"]["unrecognisable"] == 0


def test_copies_follow_nothing_and_keep_everything():
    table = measured(lambda item: item.sources[0])
    assert (table["all"]["if"], table["all"]["idp"], table["all"]["clean"]) == (0, 10, 0)


def test_untouched_things_that_are_gone_are_unrecognisable():
    item = next(item for item in ITEMS if item.task == "color" and len(item.sources[0].things) > 1)
    other = next(thing for thing in item.sources[0].things if thing.cell != item.ops[0]["cell"])
    lost = quality.unrecognisable(item, read(render(item.target.without(other.cell))))
    assert sum(lost) == 1 and len(lost) == len(item.sources[0].things) - 1
    assert not any(quality.unrecognisable(item, read(render(item.target))))


def test_the_command_writes_scores_and_a_sheet(tmp_path):
    told = [
        "--edits",
        "8",
        "--weights",
        str(TINY),
        "--json",
        str(tmp_path / "q.json"),
        "--sheet",
        str(tmp_path / "s.png"),
    ]
    result = CliRunner().invoke(app, ["quality", *told], catch_exceptions=False)
    assert result.exit_code == 0 and "untouched" in result.output
    scores = json.loads((tmp_path / "q.json").read_text())
    assert scores["edits"]["all"]["n"] == 8 and 0 <= scores["geneval"]["overall"] <= 1
    assert np.isfinite([scores["edits"]["all"][name] for name in ("if", "idp", "pq", "clean")]).all()
    assert (tmp_path / "s.png").stat().st_size > 10_000
