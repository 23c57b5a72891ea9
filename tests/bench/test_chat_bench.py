"""The bench of the client: both sides get the same answers, and many at once are much faster."""

from madi.bench import chat


def test_many_at_once_are_faster_than_one_by_one():
    [row] = chat.measure(64, 16, 1)
    assert row.name == "at_once" and row.ratio > 6
