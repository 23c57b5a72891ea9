"""What `madi trace` prints of a cell, and writes."""

import csv
import io

import pytest
import yaml
from made_tables import rewritten
from PIL import Image

from madi import cli, shards
from madi.errors import MadiError
from madi.lineage import shown, traced
from madi.records import CELL, EDIT, SCORE, cell_id
from madi.tables import words
from madi.tables.board import Query
from madi.tables.spec import TablesSpec
from madi.tables.trace import name_of
from madi.tables.workflow import Workflow

NAME = "2/emu_edit/magd_ep/DINO"


def trace(results, capsys, *words) -> str:
    assert cli.main(["trace", str(results), *map(str, words)]) == 0
    return capsys.readouterr().out


def cell_of(results, name=NAME) -> dict:
    return next(cell for cell in shards.read(results / "cells.parquet", CELL) if name_of(cell) == name)


def test_a_cell_is_told_with_all_that_is_behind_it(whole, capsys):
    out, cell = trace(whole, capsys, NAME), cell_of(whole)
    assert out.splitlines()[0] == NAME
    for said in (repr(cell["value"]), "(95 %)", "n         24 (0 excluded, 0 missing)", "0.927", cell["digest"]):
        assert said in out
    assert "Number     the mean of DINO over the samples" in out and "System     MAgD + EP" in out
    assert "the 10 highest and the 10 lowest" in out and "... 4 between" in out
    edit = next(row for row in shards.read(whole / "edits/magd_ep/00000.parquet", EDIT) if row["pause"] == 0)
    for said in (edit["weights_sha"], edit["config_sha"], "dino/source: made@00000000", "seeds: 0", "magd_ep: run, "):
        assert said in out
    assert (
        f"{whole}/runs/magd_ep/weights.json (2 files)" in out and f"emu_edit: {whole}/data/emu_edit/samples.json" in out
    )
    assert f"{whole}/runs/magd_ep/config.json sha256 " in out


def test_rows_as_csv_are_all_of_them_and_give_the_value(whole, capsys, tmp_path):
    trace(whole, capsys, NAME, "--csv", tmp_path / "rows.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert len(rows) == 24 and list(rows[0]) == traced.ROWS
    assert sum(float(row["value"]) for row in rows) / 24 == pytest.approx(cell_of(whole)["value"])
    scores = {row["score_id"]: row["value"] for row in shards.read(whole / "scores/magd_ep/00000.parquet", SCORE)}
    edits = {row["edit_id"]: row for row in shards.read(whole / "edits/magd_ep/00000.parquet", EDIT)}
    for row in rows:
        assert scores[row["score_ids"].removeprefix("dino/source=")] == float(row["value"])
        assert edits[row["edit_id"]]["image_sha"] == row["image_sha"] and row["width"] == row["height"] == "48"


def test_pictures_are_written_in_the_rows_order(whole, capsys, tmp_path):
    trace(whole, capsys, NAME, "--images", tmp_path / "seen")
    names = sorted(path.name for path in (tmp_path / "seen").iterdir())
    assert len(names) == 48 and all(Image.open(tmp_path / "seen" / name).format == "PNG" for name in names)
    found = traced.gather(Workflow.open(whole), NAME).rows
    assert names[0] == f"0001_{found['sample_id'].iloc[0]}_magd_ep_pause0_seed0.png"


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "..", "x" * 300, "\0\n", "ü ö", ""])
def test_names_from_data_lead_nowhere(name):
    safe = shown.safe(name)
    assert len(safe) <= 80 and safe.isascii() and not set(safe) & set("/\\.\0\n ")


def test_all_samples_are_shown_when_asked_for(whole, capsys):
    out = trace(whole, capsys, NAME, "--all")
    assert all(f"  emu_edit-{number:03d}  " in out for number in range(24)) and "between" not in out


def test_what_is_lost_is_named_with_why(whole, capsys):
    out = trace(whole, capsys, "2/emu_edit/ft/DINO")
    assert "n         23 (0 excluded, 1 missing)" in out
    assert "1 missing: dino/source: failed\n    emu_edit-005" in out
    out = trace(whole, capsys, "2/emu_edit/ft/CLIP-Dir")
    assert "1 excluded: clip_dir/source: identical captions\n    emu_edit-003" in out


def test_the_rule_for_discordant_answers_is_named(results, capsys):
    wrong = {"qa_if": 9.0, "qa_idp": 1.0}

    def other(row):
        return row | {"value": wrong.get(row["metric"], row["value"])} if row["sample_id"] == "emu_edit-007" else row

    rewritten(results / "scores/magd_ep/00000.parquet", SCORE, other)
    out = trace(results, capsys, "2/emu_edit/magd_ep/filtered")
    assert "is left out, one with IDP above 7 and IF below 3 weighs half" in out
    assert "excluded: left out by the rule for discordant answers: IF above 7 and IDP below 3\n" in out
    assert "emu_edit-007" in out.split("rule for discordant answers")[1]


def test_a_cell_of_the_configuration_says_what_it_reads(whole, capsys):
    out = trace(whole, capsys, next(name for name in names(whole) if "/learning_rate/" in name))
    assert "Read from the configuration: runs.magd.learning_rate." in out and "Behind it" not in out


def names(results) -> list[str]:
    return [name_of(cell) for cell in shards.read(results / "cells.parquet", CELL)]


def test_every_cell_can_be_traced_and_is_listed(whole, capsys):
    listed = trace(whole, capsys, "--list").splitlines()
    assert [line.split("  ")[0].rstrip() for line in listed] == names(whole)
    assert any(line.startswith(NAME) and cell_of(whole)["text"] in line for line in listed)


@pytest.mark.parametrize("name", [NAME, NAME.upper(), f" {NAME}/", "id"])
def test_a_name_is_found_however_it_is_written(whole, name):
    cells = shards.read(whole / "cells.parquet", CELL)
    name = cell_id(cell_of(whole)) if name == "id" else name
    assert name_of(traced.find(cells, name)) == NAME


def test_names_with_slashes_and_signs_are_found():
    cells = [{"table": "a", "block": "b/c", "row": "d:e", "column": column} for column in ("DINO>=0.9:Recall", "x/y")]
    assert traced.find(cells, "a/b/c/d:e/x/y") is cells[1]
    assert traced.find(cells, "a/b/c/d:e/DINO ≥ 0.9:Recall") is cells[0]
    twice = [*cells, {"table": "a", "block": "b", "row": "c/d:e", "column": "x/y"}]
    with pytest.raises(MadiError, match="1 cells bear the name of another"):
        traced.find(twice, "a/b/c/d:e/x/y")


def test_a_wrong_name_is_one_line_with_the_nearest(whole, capsys):
    assert cli.main(["trace", str(whole), "2/emu_edit/magd_epp/DINO"]) == 2
    shown = capsys.readouterr().err
    assert shown.count("\n") == 1 and NAME in shown and "no such cell" in shown
    assert cli.main(["trace", str(whole), "zzz"]) == 2
    assert cli.main(["trace", str(whole)]) == 2
    assert all("--list" in line for line in capsys.readouterr().err.splitlines())


def test_a_stale_cell_says_so_first_and_what_changed(results, capsys):
    def other(row):
        mine = (row["sample_id"], row["pause"], row["seed"], row["metric"], row["against"])
        return row | {"value": 0.5} if mine == ("emu_edit-007", 0, 0, "dino", "source") else row

    rewritten(results / "scores/magd_ep/00000.parquet", SCORE, other)
    lines = trace(results, capsys, NAME).splitlines()
    assert lines[0].startswith(f"STALE: {NAME} is not what ")
    assert "magd_ep/emu_edit/emu_edit-007/pause 0/seed 0 dino/source: was " in lines[1] and "is 0.5 ok" in lines[1]
    assert trace(results, capsys, "2/emu_edit/magd/DINO").startswith("2/emu_edit/magd/DINO\n")


ASKED = dict(benchmark="emu_edit", editors=["a", "b"], pauses=[0, 8, 16], seeds=[0], parts=["dino/source"])


@pytest.mark.parametrize(
    "more, said",
    [
        ({}, ("Number", "the mean of DINO over the samples")),
        ({}, ("Pauses", "0, 8, 16")),
        ({"select": "best_dino"}, ("Choice", "of each sample the edit with the highest DINO")),
        (
            {"select": "dino_at_least", "bar": 0.9},
            ("Choice", "of each sample the edit with the highest CLIP-Dir among those with DINO ≥ 0.900"),
        ),
        ({"where": {"task": ["add", "text"]}}, ("Only", "task add, text")),
        ({"scale": 100.0}, ("Number", "the mean of DINO over the samples, in percent")),
        ({"seeds": None}, ("Seeds", "all there are")),
        ({"among": 500}, ("Samples", "the 500 that were scaled")),
        ({"parts": ["x/judge", "y/judge"]}, ("Number", "the mean of x/judge, y/judge over the samples")),
    ],
)
def test_what_is_asked_is_said_in_words(more, said):
    with open("config/tables.yaml") as file:
        spec = TablesSpec.model_validate(yaml.safe_load(file))
    assert said in words.asked(Query(**ASKED | more), spec)
