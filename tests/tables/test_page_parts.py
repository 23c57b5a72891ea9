"""What the page is made of: the rules by which samples are shown, and the samples behind each cell."""

import json
import re

import made_tables
import numpy as np
import pandas as pd
import pytest

from madi import shards
from madi.records import SAMPLE
from madi.tables import grids, page, trace, words
from madi.tables.page import cells, gallery


@pytest.fixture(scope="module")
def html(made):
    return page.render(made.config, made.cells, made.frame(), made.samples, [made.edits], {})


@pytest.fixture(scope="module")
def behind(made, html):
    return json.loads(re.search(r'<script type="application/json" id="behind">(.*?)</script>', html)[1])


def test_extremes_are_the_ends_and_the_middle_of_each_task():
    values = {f"s{i}": float(i % 7) for i in range(7)} | {"alone": 3.0, "b1": 2.0, "b2": 1.0}
    tasks = dict.fromkeys(values, "many") | {"alone": "one", "b1": "two", "b2": "two"}
    found = grids.extremes(values, tasks)
    assert found == {"s6": "top", "s0": "worst", "s3": "median", "alone": "top", "b1": "top", "b2": "worst"}
    assert grids.extremes(dict(reversed(values.items())), tasks) == found


def test_ranks_apart_is_0_in_agreement_1_at_opposite_ends_and_unknown_where_a_score_is():
    first = pd.Series([0.1, 0.2, 0.3, np.nan, 0.4])
    assert grids.ranks_apart(first, 10 * first).dropna().tolist() == [0, 0, 0, 0]
    apart = grids.ranks_apart(first, -first)
    assert apart[0] == apart[4] == 1 and np.isnan(apart[3]) and apart[1] == pytest.approx(1 / 3)
    assert grids.ranks_apart(first[:1], first[:1]).tolist() == [0]


def test_most_apart_leaves_out_those_in_the_same_place():
    apart = {f"s{i:02d}": i / 20 for i in range(20)}
    assert grids.most_apart(apart) == [f"s{i:02d}" for i in range(19, 11, -1)]
    assert grids.most_apart({"a": 0.0, "b": 0.5}) == ["b"]


def test_cards_say_why_they_are_shown(made):
    spec = made.source.spec
    cards = gallery.cards(made.config, spec, made.samples, [made.edits], gallery.edit_scores(made.source.board))
    frame = made.frame()
    mine = frame[(frame.editor == "magd_ep") & (frame.pause == 0) & (frame.seed == 0) & (frame.benchmark == "emu_edit")]
    dirs = mine[(mine.metric == "clip_dir") & (mine.status == "ok")].set_index("sample_id").value.to_dict()
    tasks = {row["sample_id"]: row["task"] for row in made_tables.sample_rows("emu_edit")}
    shown = {card.sample_id: card for card in cards if card.benchmark == "emu_edit"}
    for task in set(tasks.values()):
        values = {sample: value for sample, value in dirs.items() if tasks[sample] == task}
        assert "top" in shown[max(values, key=values.get)].whys
        assert "worst" in shown[min(values, key=values.get)].whys
    assert sum("apart" in card.whys for card in shown.values()) == grids.MOST_APART
    seeded = grids.choose(made_tables.sample_rows("emu_edit"), made.config.gallery, made.config.seed)
    assert {sample for sample, card in shown.items() if "seeded" in card.whys} == set(seeded)
    assert {why for card in cards if card.benchmark == "geneval" for why in card.whys} == {"seeded"}
    assert [card.number for card in cards] == list(range(len(cards)))
    assert all(card.whys for card in cards)


def test_no_gallery_is_none_at_all(made):
    config = made.config.model_copy(update={"gallery": 0})
    html = page.render(config, made.cells, made.frame(), made.samples, [made.edits], {})
    assert '<article class="sample"' not in html and 'id="filters"' not in html


def test_each_picture_is_embedded_once(made, html):
    cards = gallery.cards(
        made.config, made.source.spec, made.samples, [made.edits], gallery.edit_scores(made.source.board)
    )
    given = sum(len(card.given) for card in cards)
    edits = sum(len(system.shown) for card in cards for system in card.systems)
    assert html.count("data:image/webp") == given + edits
    numbers = re.findall(r'data-edit="(\d+)"', html)
    assert numbers == [str(i) for i in range(edits)]


def test_scores_of_an_edit_are_those_of_the_score_file(made):
    board = gallery.edit_scores(made.source.board)
    frame = made.frame()
    row = frame[(frame.metric == "clip_dir") & (frame.seed == 0) & (frame.status == "ok")].iloc[40]
    assert board.loc[(row.benchmark, row.editor, row.pause, row.sample_id), "clip_dir/source"] == row.value


def test_each_reproduced_cell_opens_and_no_other(made, html, behind):
    buttons = re.findall(r'data-cell="([^"]*)"', html)
    assert [button.replace("&gt;", ">").replace("&#39;", "'") for button in buttons] == list(behind["cells"])
    reproduced = [cell for cell in made.cells if cell["kind"] != "reported"]
    assert {cells.key_of(cell) for cell in reproduced} == set(behind["cells"])
    assert len(json.dumps(behind)) < 2e6


def test_behind_a_cell_are_both_ends_of_its_units(made, behind):
    long = 0
    for cell in made.cells:
        if cell["kind"] != "scores" or len(trace.queries(cell)) > 1:
            continue
        units = trace.units(cell, made.source.board)
        (part,) = behind["cells"][cells.key_of(cell)]["parts"]
        ends = units if len(units) <= 24 else units[:12] + units[-12:]
        long += len(units) > 24
        told = [
            (behind["samples"][sample][0], value, pause, seed, behind["systems"][system])
            for sample, value, pause, seed, system in part["units"]
        ]
        assert told == [(u.sample_id, float(f"{u.value:.4g}"), u.pause, u.seed, u.editor) for u in ends]
        assert part["of"] == len(units)
    assert long  # some cell has more than both ends


def test_a_gain_has_two_parts_and_a_fact_none(made, behind):
    gains = [cell for cell in made.cells if len(trace.queries(cell)) == 2]
    assert gains and all(len(behind["cells"][cells.key_of(cell)]["parts"]) == 2 for cell in gains)
    fact = behind["cells"]["8/hyperparameters/learning_rate/value"]
    assert fact["parts"] == [] and fact["note"] and fact["counts"] is None


def test_samples_behind_a_cell_point_to_their_own_card(html, behind):
    linked = [(sample, number) for sample, number in behind["samples"] if number is not None]
    assert linked and len(linked) < len(behind["samples"])
    for sample, number in linked:
        article = html[html.index(f'id="card-{number}"') :]
        assert re.search(r'class="id">([^<]*)<', article)[1] == sample


def test_what_a_cell_asks_is_said_in_words(made):
    (query,) = trace.queries(made.cell("3", "emu_edit", "magd_ep_scaled", "DINO>=0.91:CLIP-Dir"))
    said = dict(words.asked(query, made.source.spec))
    assert said["System"] == "MAgD + EP" and said["Pauses"] == "0, 8, 16, 32" and said["Seeds"] == "0"
    assert (
        said["Choice"] == f"of each sample the edit with the highest CLIP-Dir among those with DINO ≥ {query.bar:.3f}"
    )
    (recall,) = trace.queries(made.cell("3", "emu_edit", "magd_ep_scaled", "DINO>=0.91:Recall"))
    assert "share of samples" in dict(words.asked(recall, made.source.spec))["Number"]
    (tag,) = trace.queries(made.cell("4", "geneval", "magd", "Single object"))
    assert dict(words.asked(tag, made.source.spec))["Only"] == "tag single object"


def test_json_in_a_script_cannot_end_it():
    bad = {"a": "</script><!--<script>\u2028\u2029&'\"", "b": [1, None]}
    text = str(cells.as_json(bad))
    assert "<" not in text and text.isascii() and json.loads(text) == bad


def test_a_sample_id_from_data_stays_text(made, tmp_path):
    bad = "x</script><script>alert(1)</script>"
    rows = [dict(row) for row in made_tables.sample_rows("idea_bench")]
    frame = made.frame()
    frame.loc[frame.sample_id == rows[0]["sample_id"], "sample_id"] = bad
    rows[0]["sample_id"] = bad
    shards.write(tmp_path / "bad.parquet", rows, SAMPLE)
    config = made.config.model_copy(update={"gallery": 12})
    samples = made.samples | {"idea_bench": tmp_path / "bad.parquet"}
    made_html = page.render(config, made.cells, frame, samples, [made.edits], {})
    assert made_html.count("<script") == 2 and "x&lt;/script&gt;" in made_html
    assert "x\\u003c/script>" in made_html
