"""The training stream: each sample once a pass, portions by count or weight, the same from any place."""

from collections import Counter

import pytest

from madi.errors import MadiError
from madi.settings import Portion
from madi.train.examples import Example
from madi.train.stream import BLOCK, Stream, shared_out

EDITS = [
    Example(f"e{i}", "x", ("a",) if i < 4 else (), ("s",), "t", set="ultra" if i % 2 else "brush") for i in range(10)
]
T2I = [Example(f"t{i}", "x", (), (), "t", set="ultra") for i in range(6)]
ALL = [*EDITS, *T2I]


def ids(stream, count, start=0):
    return [stream[place][0].id for place in range(start, start + count)]


def test_every_pass_holds_every_sample_once():
    stream = Stream(ALL, 0, {})
    for epoch in range(3):
        assert sorted(ids(stream, 16, 16 * epoch)) == sorted(one.id for one in ALL)
        assert {stream[place][1] for place in range(16 * epoch, 16 * epoch + 16)} == {epoch}
    assert ids(stream, 16) != ids(stream, 16, 16) and ids(Stream(ALL, 1, {}), 16) != ids(stream, 16)


def test_portions_of_counts_are_one_pass_together():
    """The paper's mixture in small: edits with a plan, edits without, text to image."""
    mixture = {
        "planned": Portion(kind="edit", planned=True, count=3),
        "plain": Portion(kind="edit", planned=False, count=3),
        "pictures": Portion(kind="t2i", count=6),
    }
    first, second = (ids(Stream(ALL, 0, mixture), 12, start) for start in (0, 12))
    assert sorted(first) == sorted(second) and first != second
    assert Counter(one[0] for one in first) == {"e": 6, "t": 6}
    assert sum(one in {"e0", "e1", "e2", "e3"} for one in first) == 3


def test_portions_of_weights_keep_their_shares_and_their_own_passes():
    mixture = {"edits": Portion(kind="edit", weight=3), "pictures": Portion(kind="t2i", weight=1)}
    stream = Stream(ALL, 0, mixture)
    made = ids(stream, BLOCK)
    assert Counter(one[0] for one in made) == {"e": 750, "t": 250}
    edits = [one for one in made if one[0] == "e"]
    assert all(sorted(edits[k : k + 10]) == sorted(e.id for e in EDITS) for k in range(0, 750, 10))
    assert abs(sum(one[0] == "e" for one in made[:100]) - 75) < 20  # mixed, not one after another
    assert ids(stream, 5, 3 * BLOCK + 17) == ids(Stream(ALL, 0, mixture), 5, 3 * BLOCK + 17)


def test_sets_are_chosen_by_name():
    made = ids(Stream(ALL, 0, {"brush": Portion(sets=["brush"], weight=1)}), 5)
    assert sorted(made) == ["e0", "e2", "e4", "e6", "e8"]


@pytest.mark.parametrize(
    ("portion", "said"),
    [
        (
            {"sets": ["nowhere"], "weight": 1},
            "mixture.p: no samples are of this portion; expected some of the sets brush, ultra",
        ),
        ({"kind": "t2i", "count": 7}, "mixture.p.count: 6 samples; expected at least 7"),
    ],
)
def test_a_portion_that_cannot_be_is_named(portion, said):
    with pytest.raises(MadiError, match=said):
        Stream(ALL, 0, {"p": Portion(**portion)})


def test_shares_are_whole_and_sum_up():
    assert shared_out([1, 1, 1], 1000) in ([334, 333, 333], [333, 334, 333], [333, 333, 334])
    assert sum(shared_out([0.2, 0.7, 0.1, 3], 1000)) == 1000
