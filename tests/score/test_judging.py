"""The five-question scale, its aggregates, IDEA-Bench's cascade, and the oracle as judge."""

from itertools import product
from types import SimpleNamespace

import pytest

from madi.score import idea, qa, truthful
from madi.score.judges import oracle


def verdict(following=10.0, identity=10.0, quality=10.0):
    return SimpleNamespace(instruction_following=following, identity_preservation=identity, perceptual_quality=quality)


def test_keys_span_one_to_ten_whatever_their_number():
    assert [qa.scale(key, 5) for key in range(6)] == pytest.approx([1, 2.8, 4.6, 6.4, 8.2, 10])
    assert [qa.scale(key, 4) for key in range(5)] == pytest.approx([1, 3.25, 5.5, 7.75, 10])
    assert qa.scale(-1, 4) is None
    for key in (-2, 5):
        with pytest.raises(ValueError, match="max_key 4"):
            qa.scale(key, 4)


def test_undecided_is_dropped_and_never_a_zero():
    found = qa.aggregate([("IF", 10.0), ("IF", None), ("IDP", 4.0), ("PQ", 1.0)])
    assert found == {"qa_if": 10, "qa_idp": 4, "qa_pq": 1, "qa_mllm": 7, "qa_mean3": 5}
    found = qa.aggregate([("IF", 10.0), ("IDP", None), ("PQ", 1.0)])
    assert found == {"qa_if": 10, "qa_idp": None, "qa_pq": 1, "qa_mllm": None, "qa_mean3": None}


@pytest.mark.parametrize("items", product((False, True), repeat=6))
def test_the_cascade_is_the_official_one(items):
    q1, q2, q3, q4, q5, q6 = items
    if not (q1 and q2):
        q3 = q4 = q5 = q6 = 0
    elif not (q3 and q4):
        q5 = q6 = 0
    assert idea.cascade(items) == pytest.approx(sum((q1, q2, q3, q4, q5, q6)) / 6)
    assert idea.success(items) == (idea.cascade(items) >= 0.5) == bool(q1 and q2 and (q3 or q4))


def test_the_cascade_asks_six():
    with pytest.raises(ValueError, match="asks 6"):
        idea.cascade([True] * 5)


def test_the_oracle_answers_its_verdict_rounded():
    assert [oracle.answer("IF", 5, verdict(following=v)) for v in (0, 0.9, 1.1, 5.1, 10)] == [0, 0, 1, 3, 5]
    assert [oracle.answer("IDP", 4, verdict(identity=v)) for v in (0, 6.4, 10)] == [0, 3, 4]
    assert oracle.answer("PQ", 5, verdict(quality=0)) == 0


def test_items_are_taken_level_by_level():
    asked = [{"level": 2, "tag": "PQ", "least": 7.0}, {"level": 1, "tag": "IF", "least": 2.5}]
    assert oracle.items(asked, verdict(following=2.5, quality=6.9)) == [True, False]


def question(tag, number, max_key=5):
    return {"question_id": f"{tag}{number}", "tag": tag, "max_key": max_key, "prompt_sha": "p"}


EDIT = {"editor": "ft", "benchmark": "emu_edit", "sample_id": "s", "pause": 0, "seed": 0}


def test_answers_carry_their_value_and_undecided_is_said():
    assert truthful.answer(EDIT, question("IF", 0), 5)["value"] == 10
    undecided = truthful.answer(EDIT, question("IF", 0), -1)
    assert (undecided["status"], undecided["value"], undecided["key"]) == ("undecided", None, -1)
    lost = truthful.answer(EDIT, question("IF", 0), None, "edit failed")
    assert (lost["status"], lost["value"], lost["key"], lost["reason"]) == ("missing", None, None, "edit failed")


def test_undecided_means_are_excluded_and_unasked_ones_missing():
    questions = [question("IF", 0), question("IDP", 0), question("PQ", 0)]
    found = truthful.five(questions, [truthful.answer(EDIT, q, k) for q, k in zip(questions, (5, -1, 0))])
    assert (found["qa_if"].value, found["qa_pq"].value) == (10, 1)
    for name in ("qa_idp", "qa_mllm", "qa_mean3"):
        assert (found[name].value, found[name].status, found[name].reason) == (None, "excluded", "undecided")
    assert {result.status for result in truthful.five([], []).values()} == {"missing"}
