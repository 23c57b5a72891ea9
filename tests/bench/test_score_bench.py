"""The bench of the similarities: equal values on all sides, and each gain by itself."""

from pathlib import Path

from madi.bench import score

TINY = Path(__file__).parents[2] / "assets/tiny"


def test_the_rows_compare_equal_values():
    rows = {row.name: row for row in score.measure(4, 4, TINY / "clip", TINY / "dino", 1, 1)}
    assert set(rows) == {"embed", "batching", "dedup"}
    assert all(row.max_rel_diff <= score.APART for row in rows.values())
    assert rows["embed"].ratio > 1.5
