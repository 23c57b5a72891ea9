"""Items: deterministic, right by construction, in words that name one thing, and never shared between splits."""

from collections import Counter
from dataclasses import replace
from random import Random

import pytest

from madi.scenes.edits import OPS, TASKS, apply, draw, scene_of
from madi.scenes.samples import KINDS, items, loose
from madi.scenes.splits import HELD_OUT, HELD_OUT_COMPOUNDS, SPLITS, split_of
from madi.scenes.words import PHRASES, caption, instruct, named, phrases, refer
from madi.scenes.world import CELLS, Scene

N = 48


def every(split):
    return [item for kind in KINDS for item in items(kind, split, N, seed=3)]


@pytest.fixture(scope="module")
def drawn():
    return {split: every(split) for split in SPLITS}


def test_same_arguments_same_items():
    for kind in KINDS:
        first, again = (list(items(kind, "bench", 12, seed=5)) for _ in range(2))
        assert first == again
        assert list(items(kind, "bench", 5, seed=5)) == first[:5]


def test_every_scene_of_an_item_is_of_its_split(drawn):
    for split, found in drawn.items():
        assert {item.kind for item in found} == set(KINDS) and {item.split for item in found} == {split}
        for item in found:
            assert {split_of(scene) for scene in (*item.sources, item.target, *item.scenes)} == {split}, item.item_id


def test_a_scene_has_one_split_or_none():
    rng, counts = Random(4), Counter()
    for _ in range(4000):
        scene = scene_of(rng)
        counts[split_of(scene)] += 1
        assert split_of(scene) == split_of(Scene.from_dict(scene.to_dict()))
    held = counts.pop(None)
    assert counts.keys() == SPLITS.keys() and held > 0
    for split, (low, high) in SPLITS.items():
        assert counts[split] / 4000 == pytest.approx(high - low, abs=0.05)


def compounds_of(found):
    return [{op["op"] for op in item.ops} for item in found if item.kind == "compound"]


def pairs_of(found):
    return {(t.shape, t.colour) for item in found for s in (*item.sources, item.target) for t in s.things}


def test_held_out_pairs_and_compounds_are_in_no_other_split(drawn):
    for split in drawn.keys() - {"bench"}:
        assert not pairs_of(drawn[split]) & HELD_OUT
        assert not any(pair <= ops for pair in HELD_OUT_COMPOUNDS for ops in compounds_of(drawn[split]))


def test_held_out_pairs_and_compounds_are_in_the_benchmarks():
    assert pairs_of(items("edit", "bench", 400, seed=0)) >= HELD_OUT
    asked = compounds_of(items("compound", "bench", 200, seed=0))
    assert all(any(pair <= ops for ops in asked) for pair in HELD_OUT_COMPOUNDS)


def test_ids_are_unique_and_targets_differ(drawn):
    for found in drawn.values():
        assert len({item.item_id for item in found}) == len(found)
        assert all(item.target != item.sources[0] for item in found if item.sources)


def test_every_task_in_turn_and_one_op_changes_nothing_else(drawn):
    for item in (i for i in drawn["tune"] if i.kind == "edit"):
        assert item.ops[0]["op"] in OPS[item.task]
        source, cell = item.sources[0], item.ops[0].get("cell")
        for other in source.things:
            assert other.cell == cell or item.target.at(other.cell) == other
    assert {item.task for item in drawn["tune"] if item.kind == "edit"} == set(TASKS)


def test_compounds_grow_one_op_a_level(drawn):
    groups = {}
    for item in (i for i in drawn["bench"] if i.kind == "compound"):
        groups.setdefault(item.group, []).append(item)
    for levels in groups.values():
        assert [item.level for item in levels] == list(range(1, len(levels) + 1))
        for less, more in zip(levels, levels[1:]):
            assert more.ops[:-1] == less.ops and more.instruction.startswith(less.instruction)
            assert more.sources == less.sources


def test_sessions_go_on_from_the_turn_before(drawn):
    by_id = {item.item_id: item for item in drawn["bench"] if item.kind == "session"}
    followed = [item for item in by_id.values() if item.follows in by_id]
    assert followed and all(item.sources[0] == by_id[item.follows].target for item in followed)


def test_plans_have_at_most_five_steps(drawn):
    assert max(len(item.plan) for item in drawn["bench"]) == 5
    assert min(len(item.plan) for item in drawn["bench"] if item.ops) >= 2


def test_a_reference_fits_one_thing():
    rng = Random(0)
    for _ in range(300):
        scene = scene_of(rng)
        for thing in scene.things:
            the = refer(scene, thing.cell, rng).removeprefix("the ")
            if any(the.endswith(place) for place in ("right", "left", "top", "middle", "bottom")):
                continue  # places name a cell, and a cell holds one thing
            ways = [{"size": s, "colour": c} for s in (True, False) for c in (True, False)]
            fitting = {t.cell for t in scene.things for way in ways if named(t, letter=False, **way) == the}
            assert fitting == {thing.cell}


def test_captions_tell_scenes_apart_but_for_the_variant():
    rng, words = Random(1), {}
    for _ in range(2000):
        scene = scene_of(rng)
        told = words.setdefault(caption(scene), scene)
        assert told.things == scene.things and (told.background, told.style, told.light) == (
            scene.background,
            scene.style,
            scene.light,
        )


def test_registers_overlap_in_part():
    for kind in PHRASES:
        base, tune = set(phrases(kind, "base")), set(phrases(kind, "tune"))
        assert base & tune and base - tune and tune - base


def test_every_op_can_be_said_and_done():
    rng = Random(2)
    for kind in (op for group in OPS.values() for op in group):
        done = 0
        while done < 20:
            scene = scene_of(rng)
            op = draw(scene, kind, rng)
            if op is None:
                continue
            text = instruct(scene, op, rng)
            assert text and "{" not in text and "None" not in text
            assert apply(scene, op, rng) != scene or kind == "letter"
            done += 1


def test_geneval_targets_keep_their_rule(drawn):
    for item in (i for i in drawn["bench"] if i.kind == "geneval"):
        for wanted in item.geneval["include"]:
            fits = [t for t in item.target.things if t.shape == wanted["class"]]
            assert len(fits) == wanted["count"]
            assert all(t.colour == wanted.get("color", t.colour) for t in fits)
        if item.geneval["tag"] == "position":
            first, second = (
                next(t for t in item.target.things if t.shape == w["class"]) for w in item.geneval["include"]
            )
            down, right = second.cell // 3 - first.cell // 3, second.cell % 3 - first.cell % 3
            relation = item.geneval["include"][1]["position"][0]
            assert {"left of": right < 0, "right of": right > 0, "above": down < 0, "below": down > 0}[relation]


def slips(item, slack):
    """What `slack` changed in the item's target: cells, and "variant"."""
    cells = [cell for cell in range(len(CELLS)) if slack.target.at(cell) != item.target.at(cell)]
    return cells + ["variant"] * (slack.target.variant != item.target.variant)


@pytest.mark.parametrize(("kind", "least"), [("edit", 0.9), ("compound", 0.8), ("session", 0.9), ("multi", 0.9)])
def test_loose_items_change_one_thing_that_no_op_touches(kind, least):
    rng, counts = Random(3), Counter()
    for item in items(kind, "base", 160, seed=0):
        slack, source = loose(item, rng), item.sources[0]
        changed = slips(item, slack)
        counts[len(changed)] += 1
        touched = {op["cell"] for op in item.ops if "cell" in op}
        touched |= {cell for cell in range(len(CELLS)) if item.target.at(cell) != source.at(cell)}
        touched |= {"variant"} if any(op["op"] == "background" for op in item.ops) else set()
        assert not touched & set(changed), (item.ops, changed)
        assert split_of(slack.target) == "base" and slack.target_caption == caption(slack.target)
        assert replace(slack, target=item.target, target_caption=item.target_caption) == item
        for look in ("background", "style", "light"):
            assert getattr(slack.target, look) == getattr(item.target, look)
    assert counts.keys() <= {0, 1}
    assert counts[1] >= least * counts.total()  # ops of a compound may leave nothing over to change
