import json

import numpy as np
import pytest

from madi import images
from madi.config import DataSlice
from madi.data.readers import scenes
from madi.prompts.templates import OF_OP
from madi.records import SAMPLE, required
from madi.scenes.render import render
from madi.scenes.splits import split_of
from madi.scenes.world import Scene

BENCHMARKS = {
    "emu_edit": {"samples": 8},
    "magicbrush": {"samples": 6},
    "complex_edit": {"samples": 2, "levels": 4},
    "idea_bench": {"samples": 5},
    "geneval": {"samples": 6},
}


def slice_of(name, size_px=64, seed=0, **source):
    source = source or BENCHMARKS[name]
    return DataSlice(set=name, name="t", seed=seed, size_px=size_px, source={"reader": "scenes", **source})


def rows_of(name, **options):
    return list(scenes.read(slice_of(name, **options)))


@pytest.fixture(scope="module")
def sets():
    return {name: rows_of(name) for name in BENCHMARKS} | {
        "train": rows_of("train", edits=20, t2i=10),
        "validation": rows_of("validation", edits=10, t2i=0),
    }


def test_every_row_has_what_a_sample_must_have(sets):
    for rows in sets.values():
        for row in rows:
            assert set(row) == set(SAMPLE.names)
            assert not [field.name for field in SAMPLE if required(field) and row[field.name] is None]
        assert len({row["sample_id"] for row in rows}) == len(rows)


def test_sizes_are_the_configs(sets):
    counts = {name: len(rows) for name, rows in sets.items()}
    assert counts == {
        "emu_edit": 8, "magicbrush": 6, "complex_edit": 8, "idea_bench": 5, "geneval": 6, "train": 30, "validation": 10
    }  # fmt: skip


def test_pictures_are_the_truths_renderings(sets):
    for rows in sets.values():
        for row in rows:
            truth = json.loads(row["spec"])
            shown = [*row["sources"], row["target"]]
            for picture, scene in zip(shown, [*truth["sources"], truth["target"]], strict=True):
                assert (images.decode(picture["bytes"], "x") == render(Scene.from_dict(scene), 64)).all()


def test_the_same_slice_gives_the_same_rows_and_another_seed_others():
    assert rows_of("magicbrush") == rows_of("magicbrush")
    assert rows_of("magicbrush") != rows_of("magicbrush", seed=1)


def test_sets_show_scenes_of_their_own_splits(sets):
    for name, rows in sets.items():
        split = {"train": "tune", "validation": "validation"}.get(name, "bench")
        assert {row["split"] for row in rows} == {split}
        for row in rows:
            truth = json.loads(row["spec"])
            scenes = [Scene.from_dict(scene) for scene in (*truth["sources"], truth["target"])]
            assert {split_of(scene) for scene in scenes} == {split}, row["sample_id"]


def test_benchmarks_forms(sets):
    assert {row["task"] for row in sets["emu_edit"]} == {
        "add", "background", "color", "global", "local", "remove", "style", "text"
    }  # fmt: skip
    assert [row["complexity"] for row in sets["complex_edit"]] == [1, 2, 3, 4] * 2
    assert len({row["group_id"] for row in sets["complex_edit"]}) == 2
    assert {len(row["sources"]) for row in sets["idea_bench"]} == {2}
    assert {len(row["sources"]) for row in sets["geneval"]} == {0}
    assert {json.loads(row["spec"])["geneval"]["tag"] for row in sets["geneval"]} == {
        "single_object", "two_object", "counting", "colors", "position", "color_attr"
    }  # fmt: skip
    for row in sets["idea_bench"]:
        items = json.loads(row["spec"])["items"]
        assert [item["level"] for item in items] == [1, 1, 2, 2, 3, 3]
        assert {item["tag"] for item in items} == {"IF", "IDP", "PQ"}


def test_turns_follow_each_other_and_have_regions(sets):
    by_id = {row["sample_id"]: row for row in sets["magicbrush"]}
    assert any(row["follows"] for row in by_id.values())
    for row in by_id.values():
        if row["follows"]:
            before = by_id[row["follows"]]
            assert row["sources"][0]["bytes"] == before["target"]["bytes"]
            assert (row["turn"], row["group_id"]) == (before["turn"] + 1, before["group_id"])
        else:
            assert row["turn"] == 1
        assert row["target_caption_local"]


def test_nothing_changes_outside_the_region(sets):
    regions = [row for rows in sets.values() for row in rows if row["region"]]
    assert len(regions) >= 6 + 16 + 8
    for row in regions:
        source, target = (images.decode(row[p]["bytes"] if p == "target" else row[p][0]["bytes"], "x").astype(int)
                          for p in ("sources", "target"))  # fmt: skip
        editable = images.decode(row["region"]["bytes"], "x")[..., 0] > 127
        assert not np.abs(source - target).max(axis=-1)[~editable].any()


def test_what_is_learnt_from_has_the_benchmarks_forms(sets):
    edits = [row for row in sets["train"] if row["sources"]]
    assert sum(len(row["sources"]) == 2 for row in edits) == 2
    assert sum(row["complexity"] is not None for row in edits) == 2
    assert len(edits) == 20 and len(sets["train"]) == 30


def test_every_edit_has_a_plan_and_ops_that_questions_know(sets):
    for rows in sets.values():
        for row in rows:
            truth = json.loads(row["spec"])
            assert bool(truth["plan"]) == bool(row["sources"]) == bool(truth["ops"])
            assert len(truth["plan"]) <= 5
            assert {op["op"] for op in truth["ops"]} <= set(OF_OP)
