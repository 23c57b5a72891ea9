import pyarrow as pa

from madi import records
from madi.records import ANSWER, CELL, EDIT, KEY, LATENT, LINEAGE, PLAN, QUESTION, SAMPLE, SCORE, record_id

ALL = (SAMPLE, PLAN, LATENT, EDIT, QUESTION, ANSWER, SCORE, CELL, LINEAGE)
EDIT_KEY = ["editor", "benchmark", "sample_id", "pause", "seed"]


def edit(**changes):
    return {"editor": "ft", "benchmark": "emu_edit", "sample_id": "s", "pause": 0, "seed": 0} | changes


def test_ids_tell_every_part_apart():
    ids = {
        records.edit_id(edit(**{name: value}))
        for name, value in [
            ("editor", "magd"),
            ("benchmark", "magicbrush"),
            ("sample_id", "t"),
            ("pause", 8),
            ("seed", 1),
            ("seed", 0),
        ]
    }
    assert len(ids) == 6
    assert all(len(one) == 16 and int(one, 16) >= 0 for one in ids)


def test_parts_do_not_run_together():
    assert record_id("ab", "c") != record_id("a", "bc")
    assert record_id(1) != record_id("1")


def test_numpy_scalars_count_as_plain_numbers():
    import numpy as np

    assert record_id("a", np.int64(3)) == record_id("a", 3)


def test_a_score_knows_its_edit():
    score = edit(metric="clip_i", against="source", backend="clip@1")
    assert records.edit_id(score) == records.edit_id(edit())
    assert records.score_id(score) != records.score_id(score | {"against": "target"})


def test_keys_are_dictionaries_and_edits_are_keyed_alike():
    for schema in (EDIT, ANSWER, SCORE):
        assert schema.names[:5] == EDIT_KEY
        assert schema.field("editor").type == schema.field("sample_id").type == KEY
    for schema in ALL:
        assert not [field for field in schema if pa.types.is_timestamp(field.type)]


def test_what_may_be_null_is_what_the_design_says():
    optional = {field.name for field in SAMPLE if not records.required(field)}
    assert optional == {
        "task",
        "complexity",
        "turn",
        "follows",
        "target",
        "region",
        "source_caption",
        "target_caption",
        "target_caption_local",
        "spec",
    }
    assert {field.name for field in SCORE if not records.required(field)} == {"value", "reason"}
    assert all(field.nullable for field in SAMPLE if not records.required(field))


def test_a_question_id_follows_its_words():
    question = {"sample_id": "s", "tag": "IF", "text": "Is it red?", "options": [{"key": 0, "text": "No."}]}
    other = question | {"options": [{"key": 0, "text": "Yes."}]}
    assert records.question_id(question) == records.question_id(dict(question))
    assert records.question_id(question) != records.question_id(other)
