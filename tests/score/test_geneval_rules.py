"""GenEval's rules, branch by branch, on boxes made by hand."""

import pytest

from madi.score.geneval import COUNTING_CONFIDENCE, Detection, evaluate, keep, relations


def at(x, y, colour="red", confidence=1.0, side=20):
    return Detection((x, y, x + side, y + side), colour, confidence)


def include(shape, count=1, **more):
    return {"class": shape, "count": count} | more


def test_count_is_enough_or_says_what_was_found():
    rule = {"tag": "counting", "include": [include("star", 2)], "exclude": [{"class": "star", "count": 3}]}
    stars = [at(0, 0), at(50, 0), at(100, 0)]
    assert evaluate(rule, {"star": stars[:1]}) == (False, "expected star>=2, found 1")
    assert evaluate(rule, {"star": stars[:2]}) == (True, "")
    assert evaluate(rule, {"star": stars}) == (False, "expected star<3, found 3")
    assert evaluate(rule, {}) == (False, "expected star>=2, found 0")


def test_clauses_are_all_needed():
    rule = {"tag": "two_object", "include": [include("star"), include("moon")]}
    assert evaluate(rule, {"star": [at(0, 0)], "moon": [at(50, 0)]})[0]
    assert evaluate(rule, {"moon": [at(50, 0)]}) == (False, "expected star>=1, found 0")
    assert evaluate(rule, {})[1].count("\n") == 1


def test_colour_is_asked_of_the_surest_only():
    rule = {"tag": "colors", "include": [include("star", color="red")]}
    red, blue = at(0, 0, "red", 0.5), at(50, 0, "blue", 0.9)
    assert evaluate(rule, keep({"star": [red]}, "colors"))[0]
    correct, reason = evaluate(rule, keep({"star": [red, blue]}, "colors"))
    assert not correct and "found 0; and 1 blue" in reason


@pytest.mark.parametrize(
    "other, wanted",
    [((60, 0), "right of"), ((-60, 0), "left of"), ((0, 60), "below"), ((0, -60), "above")],
)
def test_each_direction_holds_alone(other, wanted):
    assert relations(at(*other), at(0, 0)) == {wanted}
    rule = {"tag": "position", "include": [include("star"), include("moon", position=[wanted, 0])]}
    assert evaluate(rule, {"star": [at(0, 0)], "moon": [at(*other)]})[0]
    assert not evaluate(rule, {"star": [at(*other)], "moon": [at(0, 0)]})[0]


def test_diagonals_hold_both_ways():
    assert relations(at(60, 60), at(0, 0)) == {"right of", "below"}


def test_a_shift_within_a_tenth_of_both_sizes_is_none():
    assert relations(at(3.9, 0), at(0, 0)) == set()  # 0.1 * (20 + 20) = 4 px
    assert relations(at(4.0, 0), at(0, 0)) == set()
    assert relations(at(9.0, 0), at(0, 0)) == {"right of"}  # (9 - 4) / 9 > 0.5
    assert relations(at(7.0, 0), at(0, 0)) == set()  # (7 - 4) / 7 < 0.5


def test_position_without_its_target_fails():
    rule = {"tag": "position", "include": [include("star"), include("moon", position=["left of", 0])]}
    correct, reason = evaluate(rule, {"moon": [at(0, 0)]})
    assert not correct and "no target for moon to be left of" in reason


def test_position_is_not_asked_where_the_colour_is_wrong():
    rule = {"tag": "x", "include": [include("star"), include("moon", color="red", position=["left of", 0])]}
    reason = evaluate(rule, {"star": [at(0, 0)], "moon": [at(60, 0, "blue")]})[1]
    assert "expected red moon" in reason and "target" not in reason


def test_every_pair_must_hold():
    rule = {"tag": "position", "include": [include("star"), include("moon", 2, position=["right of", 0])]}
    stars = [at(0, 0)]
    assert evaluate(rule, {"star": stars, "moon": [at(60, 0), at(90, 0)]})[0]
    assert not evaluate(rule, {"star": stars, "moon": [at(60, 0), at(-60, 0)]})[0]


def test_counting_asks_for_more_confidence_and_no_class_exceeds_sixteen():
    unsure = {"star": [at(0, 0, confidence=0.5), at(9, 9, confidence=0.95)], "moon": [at(0, 0, confidence=0.2)]}
    assert [d.confidence for d in keep(unsure, "colors")["star"]] == [0.95, 0.5]
    assert [d.confidence for d in keep(unsure, "counting")["star"]] == [0.95]
    assert keep(unsure, "colors")["moon"] == []
    assert len(keep({"star": [at(i, 0) for i in range(20)]}, "colors")["star"]) == 16
    assert COUNTING_CONFIDENCE == 0.9
