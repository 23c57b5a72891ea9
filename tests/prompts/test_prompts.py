import json

import pytest

from madi import shards
from madi.config import DataSlice, PlanSlice, QuestionSlice
from madi.data.readers import scenes
from madi.errors import MadiError
from madi.prompts import plan, questions, templates
from madi.records import PLAN, QUESTION, SAMPLE
from madi.samples import Sample


def samples(name, n=16, **source):
    source = source or ({"edits": n, "t2i": 6} if name == "train" else {"samples": n})
    job = DataSlice(set=name, name="t", seed=0, size_px=32, source={"reader": "scenes", **source})
    return [Sample(row, f"{name}.parquet", index) for index, row in enumerate(scenes.read(job))]


def plans(share=0.5, steps=5, seed=0):
    return PlanSlice(set="train", name="t", seed=seed, provider="truth", share=share, steps=steps)


ASK = QuestionSlice(benchmark="emu_edit", name="t", seed=0, provider="truth")


@pytest.fixture(scope="module")
def train():
    return samples("train", 40)


def test_plans_are_the_truths_and_only_of_edits(train):
    rows = {row["sample_id"]: row for row in plan.plans(train, plans(share=1.0))}
    assert set(rows) == {sample.id for sample in train if sample.count}
    for sample in train:
        if sample.count:
            assert rows[sample.id]["plan"] == json.loads(sample.row["spec"])["plan"] != []
            assert (rows[sample.id]["status"], rows[sample.id]["provider"]) == ("ok", "truth")


def test_the_share_is_held_and_nested(train):
    half = {row["sample_id"] for row in plan.plans(train, plans(share=0.5))}
    most = {row["sample_id"] for row in plan.plans(train, plans(share=0.8))}
    assert half < most
    assert half != {row["sample_id"] for row in plan.plans(train, plans(share=0.5, seed=1))}
    assert list(plan.plans(train, plans(share=0.0))) == []
    names = [str(index) for index in range(4000)]
    assert abs(sum(plan.chosen(name, 0.5, 0) for name in names) / 4000 - 0.5) < 0.03


def test_a_choice_does_not_depend_on_the_other_samples(train):
    alone = [row for sample in train for row in plan.plans([sample], plans())]
    assert alone == list(plan.plans(train, plans()))


def test_steps_are_bounded(train):
    rows = list(plan.plans(train, plans(share=1.0, steps=2)))
    assert max(len(row["plan"]) for row in rows) == 2


def test_a_sample_without_a_plan_is_missing_not_empty(train):
    bare = Sample(train[0].row | {"spec": None}, "train.parquet", 0)
    [row] = plan.plans([bare], plans(share=1.0))
    assert (row["status"], row["plan"]) == ("missing", []) and row["reason"]


@pytest.mark.parametrize("name", ["emu_edit", "magicbrush", "complex_edit", "idea_bench"])
def test_five_questions_an_edit_with_every_tag(name):
    found = samples(name)
    rows = list(questions.questions(found, ASK))
    assert len({row["question_id"] for row in rows}) == len(rows) == 5 * len(found)
    for sample in found:
        mine = [row for row in rows if row["sample_id"] == sample.id]
        assert {row["tag"] for row in mine} == {"IF", "IDP", "PQ"}
        assert any(sample.row["instruction"] in row["text"] for row in mine)
        for row in mine:
            keys = [option["key"] for option in row["options"]]
            assert keys == [*range(row["max_key"] + 1), -1]
            assert len({option["text"] for option in row["options"]}) == len(keys)
            words = " ".join([row["text"], *(option["text"] for option in row["options"])])
            assert "{" not in words and "None" not in words


def test_text_to_image_is_not_asked_about():
    assert list(questions.questions(samples("geneval", 6), ASK)) == []


def test_every_op_has_its_own_question():
    found = samples("train", 160)
    kinds = {}
    for sample in found:
        if sample.count:
            op = sample.spec()["ops"][-1]
            kinds.setdefault(
                (op["op"], op.get("letter", "") is None), questions.from_truth(sample)["questions"][3]["text"]
            )
    assert {op for op, _ in kinds} == set(templates.OF_OP) - {"wipe"}
    assert len(set(kinds.values())) == len(kinds)
    assert "off" in kinds[("letter", True)] and "bear the letter" in kinds[("letter", False)]


def test_a_sample_without_truth_is_named():
    found = samples("emu_edit", 2)
    found[1] = Sample(found[1].row | {"spec": None}, "emu_edit.parquet", 1)
    with pytest.raises(MadiError, match="emu_edit.parquet row 1 column spec: the sample's truth is not told"):
        list(questions.questions(found, ASK))


def test_equal_samples_give_equal_bytes(tmp_path):
    shards.write(tmp_path / "samples.parquet", (sample.row for sample in samples("emu_edit")), SAMPLE)
    for folder in ("a", "b"):
        questions.run(ASK, tmp_path / "samples.parquet", tmp_path / folder / "questions.parquet")
        plan.run(plans(), tmp_path / "samples.parquet", tmp_path / folder / "plans.parquet")
    for name, schema in (("questions.parquet", QUESTION), ("plans.parquet", PLAN)):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
        assert shards.read(tmp_path / "a" / name, schema)


def test_stretches_of_a_set_have_all_its_plans(train, tmp_path):
    shards.write(tmp_path / "samples.parquet", (sample.row for sample in train), SAMPLE)
    parts = []
    for part in range(3):
        job = plans(share=1.0).model_copy(update={"shards": 3})
        parts.append(tmp_path / f"{part}.parquet")
        plan.run(job, tmp_path / "samples.parquet", parts[-1], part)
    plan.join(parts, tmp_path / "all.parquet")
    plan.run(plans(share=1.0), tmp_path / "samples.parquet", tmp_path / "whole.parquet")
    assert (tmp_path / "all.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert all(shards.read(part, PLAN) for part in parts)


def test_five_questions_fit_any_edit():
    found = [Sample(sample.row | {"spec": None}, "any.parquet", 0) for sample in samples("emu_edit", 4)]
    rows = list(questions.questions(found, ASK.model_copy(update={"provider": "general"})))
    assert len(rows) == 20 and {row["tag"] for row in rows} == {"IF", "IDP", "PQ"}
    assert all("{" not in row["text"] for row in rows)
