"""`madi config check` names the cells of tables that a config cannot fill: what it says is what a run would find."""

import copy
import json
import sys
from pathlib import Path

import pytest
import yaml

sys.path.append(str(Path(__file__).parent / "data"))
import published as made  # noqa: E402

from madi import config, settle  # noqa: E402
from madi.check import coverage  # noqa: E402
from madi.cli import main  # noqa: E402
from madi.data.readers import complex_edit, emu_edit, geneval, idea_bench, magicbrush, ultraedit  # noqa: E402
from madi.samples import Sample  # noqa: E402
from madi.score.classes import NAMES  # noqa: E402
from madi.score.metrics import REFERENCES  # noqa: E402
from madi.score.similar import captions  # noqa: E402
from madi.tables.spec import TablesSpec  # noqa: E402

ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def here(monkeypatch):
    monkeypatch.chdir(ROOT)


def raw_of(name):
    return yaml.safe_load((ROOT / f"config/{name}.yaml").read_text().replace("1e-4", "1.0e-4"))


DEMO, PAPER = raw_of("demo"), raw_of("paper")


def changed(base, value, *keys):
    """A config with one value replaced, or deleted (None)."""
    raw = copy.deepcopy(base)
    at = raw
    for key in keys[:-1]:
        at = at[key]
    at[keys[-1]] = value
    if value is None:
        del at[keys[-1]]
    return config.parse(raw)


def gaps(scale, tables=None):
    spec = TablesSpec.model_validate(tables or settle.declared(scale))
    return coverage.gaps(scale, spec)


def cells(found, table=None):
    return {(gap.table, gap.block, gap.row, gap.column) for gap in found if gap.table and table in (None, gap.table)}


def reasons(found):
    return {gap.reason for gap in found}


def test_the_demo_fills_every_cell_that_it_runs():
    assert gaps(config.parse(DEMO)) == []


def test_blocks_of_a_protocol_that_nobody_is_judged_by_are_left_out():
    """The demo asks no judge for IDEA-Bench's official protocol; the paper's config does."""
    for raw, shown in ((DEMO, {"idea_bench"}), (PAPER, {"idea_bench", "official"})):
        assert set(settle.declared(config.parse(raw))["tables"]["idea_bench"]["blocks"]) == shown


def test_what_has_no_captions_fills_no_cell_that_needs_them():
    hub = {"reader": "magicbrush", "samples": 528, "files": "config"}
    scale = changed(PAPER, hub, "data", "benchmarks", "magicbrush")
    found = [gap for gap in gaps(scale) if gap.reason == "magicbrush by its reader magicbrush has no captions"]
    columns = {gap.column for gap in found if gap.table == "1" and gap.row == "omnigen"}
    assert columns == {"CLIP-T", "CLIP-Dir", "CLIP-T global"}
    scaled = {gap.column for gap in found if gap.table == "1" and gap.row == "magd_ep_scaled"}
    assert {"DINO", "MLLM"} < scaled  # chosen by CLIP-Dir: nothing is chosen
    zipped = hub | {"reader": "magicbrush_zip"}
    assert not cells(gaps(changed(PAPER, zipped, "data", "benchmarks", "magicbrush")), "magicbrush")


def test_geneval_needs_a_detector_that_knows_all_80_classes(tmp_path):
    nothing = gaps(changed(PAPER, {"detector": "parser"}, "score", "geneval"))
    assert "no detector for photographs (score.geneval)" in reasons(nothing) and cells(nothing, "4")
    labels = {number: name for number, name in enumerate(NAMES) if name not in ("airplane", "tv")}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels}))
    named = {"detector": "mask2former", "model": str(tmp_path), "colours": "l14"}
    lacking = gaps(changed(PAPER, named, "score", "geneval"))
    assert f"the detector in {tmp_path} knows no airplane, tv" in reasons(lacking)
    labels = {number: {"airplane": "aeroplane", "tv": "tvmonitor"}.get(name, name) for number, name in enumerate(NAMES)}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels}))
    assert not cells(gaps(changed(PAPER, named, "score", "geneval")), "4")
    gone = gaps(changed(PAPER, named | {"colours": "no/such"}, "score", "geneval"))
    assert "no CLIP for colours in no/such" in reasons(gone)
    raw = copy.deepcopy(PAPER)
    raw["model"] |= {"clip": "assets/tiny/clip", "hub": {}}
    raw["score"]["geneval"] = {"detector": "mask2former", "model": str(tmp_path)}
    small = gaps(config.parse(raw))
    assert "GenEval's colours need a CLIP that knows photographs (score.geneval.colours)" in reasons(small)


def test_a_vit_tells_no_colours():
    with pytest.raises(config.MadiError, match="score.geneval.colours: found b16, a ViT"):
        changed(PAPER, PAPER["score"]["geneval"] | {"colours": "b16"}, "score", "geneval")


def test_pauses_and_seeds_that_no_ask_provides_are_named():
    raw = copy.deepcopy(DEMO)
    for ask in raw["edit"]["asks"].values():
        ask["pauses"] = [0] if ask["benchmark"] == "emu_edit" else ask["pauses"]
    found = gaps(config.parse(raw))
    assert reasons(found) and all(reason.startswith("no ask of emu_edit has") for reason in reasons(found))
    assert ("3", "emu_edit", "magd_ep_scaled", "best_dino:DINO") in cells(found)
    assert ("2", "emu_edit", "magd_ep", "DINO") not in cells(found)  # asked for without pauses


def test_a_take_that_nothing_provides_is_named():
    raw = copy.deepcopy(PAPER)
    raw["edit"]["asks"]["emu_edit_seeds"]["take"] = 100  # the rows are about 500 samples
    found = gaps(config.parse(raw))
    assert ("3", "emu_edit", "magd_ep_seeds", "best_dino:DINO") in cells(found)
    assert "an ask of emu_edit takes 100 samples, the cell is about 500" in reasons(found)
    raw["edit"]["asks"]["emu_edit_seeds"]["take"] = 10**6
    assert "ask emu_edit_seeds: takes 1000000 of emu_edit's 3589 samples" in reasons(gaps(config.parse(raw)))


def test_a_metric_that_no_scorer_makes_and_an_editor_that_no_system_has_are_named():
    scale = config.parse(DEMO)
    tables = copy.deepcopy(settle.declared(scale))
    tables["metrics"]["CLIP-T"] = {"parts": ["clip_tt/global_caption"]}
    tables["systems"]["magd_zero"]["editors"] = []
    found = gaps(scale, tables)
    assert "metric CLIP-T: no scorer makes clip_tt/global_caption" in reasons(found)
    assert "no scorer makes clip_tt/global_caption" in reasons(found)
    assert ("2", "emu_edit", "ft", "CLIP-T") in cells(found)
    assert "editor magd_zero: no system of config/tables.yaml has it" in reasons(found)


def test_a_protocol_that_is_not_asked_and_a_judge_that_cannot_are_named():
    some = {name: [one for one in asked if one != "five_again"] for name, asked in DEMO["score"]["protocols"].items()}
    found = gaps(changed(DEMO, some, "score", "protocols"))
    assert reasons(found) == {"score.protocols has no five_again for complex_edit"}
    assert ("5", "complex_edit", "ft_ep_again", "complexity=0") in cells(found)
    raw = changed(PAPER, "oracle", "score", "judge")
    assert "oracle judges scenes alone, and emu_edit is published" in reasons(gaps(raw))


def test_the_verb_warns_by_name_and_fails_with_strict(capsys):
    assert main(["config", "check", "config/demo.yaml", "--strict"]) == 2 * bool(gaps(config.parse(DEMO)))
    capsys.readouterr()
    assert main(["config", "check", "config/paper.yaml"]) == 0
    said = capsys.readouterr().err
    assert (
        "warning: no detector in models/" in said and "    4, geneval: all of ft, magd, omnigen, ft_ep, magd_ep" in said
    )
    assert main(["config", "check", "config/paper.yaml", "--strict"]) == 2
    assert "cells cannot be filled" in capsys.readouterr().err.splitlines()[-1]


def test_what_the_check_believes_of_readers_is_what_they_give(tmp_path):
    made.magicbrush(tmp_path / "m"), made.emu_edit(tmp_path / "e"), made.complex_edit(tmp_path / "c")
    made.idea_bench(tmp_path / "i"), made.geneval(tmp_path / "g"), made.magicbrush_zip(tmp_path / "val.zip")
    made.ultraedit(tmp_path / "u")
    read = {
        "emu_edit": emu_edit.read(tmp_path / "e"),
        "magicbrush": magicbrush.read(tmp_path / "m"),
        "magicbrush_zip": magicbrush.zipped(tmp_path / "val.zip"),
        "complex_edit": complex_edit.read(tmp_path / "c"),
        "idea_bench": idea_bench.read(tmp_path / "i"),
        "geneval": geneval.read(tmp_path / "g"),
        "published": ultraedit.read(tmp_path / "u"),
    }
    for reader, rows in read.items():
        found = [Sample(row, "f", 0) for row in rows if isinstance(row, dict)]
        held = {name for one in found for name in captions(one)}
        held |= {"target" for one in found if REFERENCES["target"](one)}
        assert held == coverage.HELD[reader], reader
