"""IDEA-Bench's cascade over six yes/no items in three levels of two."""

from __future__ import annotations

from collections.abc import Sequence

ITEMS = 6
SUCCESS = 0.5  # the paper gives no definition; the official cascade at one half is ours (benchmarks 5.6)


def cascade(items: Sequence[bool]) -> float:
    """Share of items that count, 0..1: a level counts only where both items of every level below hold.

    q1 or q2 wrong: q3-q6 are 0; else q3 or q4 wrong: q5 and q6 are 0; the score is their sum / 6.
    """
    if len(items) != ITEMS:
        raise ValueError(f"{len(items)} items: IDEA-Bench asks {ITEMS}")
    counted, standing = 0, True
    for level in range(0, ITEMS, 2):
        pair = [bool(item) for item in items[level : level + 2]]
        counted += sum(pair) if standing else 0
        standing = standing and all(pair)
    return counted / ITEMS


def success(items: Sequence[bool]) -> bool:
    """Whether a case passes."""
    return cascade(items) >= SUCCESS
