"""The five-question scale, its aggregates, IDEA-Bench's cascade, and the oracle as judge."""

from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest

from madi.score import idea, qa
from madi.score.judges import again, complex_edit, five, idea_bench, idea_bench_official, oracle, stitch, viescore


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


def row(question_id, value, status="ok", rollout=0, reason=None, key=None):
    return {
        "question_id": question_id,
        "value": value,
        "status": status,
        "rollout": rollout,
        "reason": reason,
        "key": key,
    }


BANK = [{"question_id": tag, "tag": tag, "max_key": 5} for tag in qa.TAGS]


def test_undecided_means_are_excluded_and_unasked_ones_missing():
    found = five.scores([row("IF", 10.0), row("IDP", None, "undecided"), row("PQ", 1.0)], BANK)
    assert (found["qa_if"].value, found["qa_pq"].value) == (10, 1)
    for name in ("qa_idp", "qa_mllm", "qa_mean3"):
        assert (found[name].value, found[name].status, found[name].reason) == (None, "excluded", "undecided")
    assert {result.status for result in five.scores([], []).values()} == {"missing"}
    lost = five.scores([row(tag, None, "missing", reason="refused") for tag in qa.TAGS], BANK)
    assert {(result.status, result.reason) for result in lost.values()} == {("missing", "refused")}


def test_rollouts_of_a_question_are_its_mean_and_a_lost_one_is_no_zero():
    rows = [row(tag, value, rollout=n) for n, value in enumerate((10.0, 4.0)) for tag in qa.TAGS]
    rows += [row(tag, None, "missing", 2, "refused") for tag in qa.TAGS]
    assert five.scores(rows, BANK)["qa_mllm"].value == 7


def test_the_best_of_several_judgements_is_one_of_them_whole():
    told = [(4.0, 10.0, 1.0), (10.0, 7.0, 1.0), (7.0, 7.0, 10.0)]  # IF, IDP, PQ of each
    rows = [row(tag, value, rollout=n) for n, values in enumerate(told) for tag, value in zip(qa.TAGS, values)]
    rows += [row(tag, None, "missing", 3, "refused") for tag in qa.TAGS]
    found = again.scores(rows, BANK)
    assert [found[name].value for name in again.METRICS] == [10, 7, 8.5]  # not the best of each tag: 10, 10
    assert found["qa_best_mllm"].reason == "1 of 4 judgements missing"
    assert {one.status for one in again.scores(rows[-3:], BANK).values()} == {"missing"}
    assert {one.status for one in again.scores([], []).values()} == {"missing"}


def test_of_several_rollouts_the_best_of_four_means_is_kept_not_the_best_rollout():
    values = [(1.0, 10.0), (4.0, 4.0), (7.0, 1.0), (4.0, 7.0)]  # means 5.5, 4, 4, 5.5; the best single one is 10
    rows = [
        row(tag, value, rollout=2 * n + k)
        for n, two in enumerate(values)
        for k, value in enumerate(two)
        for tag in qa.TAGS
    ]
    assert again.scores(rows, BANK)["qa_best_mllm"].value == 5.5


def test_only_edits_without_pause_at_the_first_seed_are_judged_again():
    sample = SimpleNamespace(count=1)
    asked = [(pause, seed) for pause in (0, 8) for seed in (0, 1) if again.asks(sample, {"pause": pause, "seed": seed})]
    assert asked == [(0, 0)]


def test_complex_edits_means_are_over_what_was_answered():
    rows = [row("alignment_if", 8.0), row("alignment_idp", 4.0), row("quality_pq", 6.0)]
    assert [complex_edit.scores(rows, [])[name].value for name in complex_edit.METRICS] == [8, 4, 6, 6]
    lost = [row(name, None, "missing", 1, "refused") for name in ("alignment_if", "alignment_idp")]
    found = complex_edit.scores([*rows, *lost, row("quality_pq", 10.0, rollout=1)], [])
    assert [found[name].value for name in complex_edit.METRICS] == pytest.approx([8, 4, 8, 20 / 3])
    assert found["ce_if"].reason == "1 of 2 rollouts missing" and found["ce_pq"].reason is None
    gone = complex_edit.scores([*lost, row("quality_pq", 10.0)], [])
    assert (gone["ce_overall"].status, gone["ce_if"].reason, gone["ce_pq"].value) == ("missing", "refused", 10)


def test_a_case_passes_by_the_mean_cascade_of_its_whole_rollouts():
    def call(rollout, keys, status="ok"):
        return [row(f"item_{n}", None, status, rollout, "refused", key) for n, key in enumerate(keys, 1)]

    found = idea_bench.scores([*call(0, [1, 1, 1, 0, 1, 1]), *call(1, [1, 0, 1, 1, 1, 1])], [])
    assert found["idea_score"].value == pytest.approx((3 / 6 + 1 / 6) / 2) and found["idea_success"].value == 0
    found = idea_bench.scores([*call(0, [1] * 6), *call(1, [None] * 6, "missing")], [])
    assert (found["idea_score"].value, found["idea_score"].reason) == (1, "1 of 2 rollouts missing")
    assert idea_bench.scores(call(0, [None] * 6, "missing"), [])["idea_success"].status == "missing"


def test_a_case_with_an_item_that_nobody_answered_is_missing():
    rows = [row(f"item_{n}", None, key=1) for n in range(1, 7)]
    assert idea_bench.scores(rows, [])["idea_score"].value == 1
    lost = idea_bench.scores(rows[:5], [])["idea_success"]
    assert (lost.status, lost.reason) == ("missing", "not asked")


def test_viescore_is_the_root_of_the_leasts():
    names = ("sc_success", "sc_restraint", "pq_naturalness", "pq_clean")
    found = viescore.scores([row(name, value) for name, value in zip(names, (9.0, 4.0, 9.0, 10.0))], [])
    assert [found[name].value for name in viescore.METRICS] == pytest.approx([4, 9, 6])
    half = viescore.scores([row(name, value) for name, value in zip(names, (9.0, 4.0, None, None))], [])
    assert {result.status for result in half.values()} == {"missing"}


def test_the_official_score_is_the_mean_of_three_cascades():
    calls = ([1, 1, 1, 0, 1, 1], [1, 0, 1, 1, 1, 1], [1] * 6)
    rows = [
        row(f"item_{n}", None, rollout=call, key=key) for call, keys in enumerate(calls) for n, key in enumerate(keys)
    ]
    assert idea_bench_official.scores(rows, [])["idea_official"].value == pytest.approx((3 / 6 + 1 / 6 + 1) / 3)
    lost = idea_bench_official.scores([*rows[:-1], rows[-1] | {"status": "missing", "reason": "refused"}], [])
    assert lost["idea_official"].value == pytest.approx((3 / 6 + 1 / 6) / 2)
    assert lost["idea_official"].reason == "1 of 3 rollouts missing"


def test_a_stitched_picture_shows_what_was_given_above_what_was_made():
    """Given pictures at the edit's height, 20 px of white between pictures and rows, left edges level."""
    given = [np.full((30, 61, 3), 50, np.uint8), np.full((80, 40, 3), 90, np.uint8)]
    whole = stitch.stitched(given, [np.full((40, 30, 3), 200, np.uint8)])
    assert whole.shape == (40 + 20 + 40, 81 + 20 + 20, 3)  # 61 x 30 becomes 81 x 40, 40 x 80 becomes 20 x 40
    assert (whole[:40, :81] == 50).all() and (whole[:40, 101:] == 90).all() and (whole[60:, :30] == 200).all()
    assert (whole[40:60] == 255).all() and (whole[:, 81:101] == 255).all() and (whole[60:, 30:] == 255).all()
    assert stitch.stitched([], [given[0]]).shape == (30, 61, 3)
    one, ten = stitch.digits(1), stitch.digits(10)
    assert one.shape == (512, 512, 3) and 0.005 < (one < 128).mean() < (ten < 128).mean() < 0.2


def test_complex_edits_rubric_makes_its_authors_exceptions():
    """Identity is 0 for a picture without relation to its source, unless the instruction asks for a whole new one; and
    neither score lowers the other."""
    text = " ".join(complex_edit.ALIGNMENT_SYSTEM.split())
    assert "unless" in text and "do not depend on each other" in text and "whatever else was changed" in text
