"""The oracle in the judge's place: answers the five frozen questions, and IDEA-Bench's six items, from the truth.

A verdict holds instruction following, identity preservation and perceptual quality, 0..10 each
(`madi.scenes.truth.judge`).
"""

from __future__ import annotations

NAME = "oracle"
REVISION = "1"
SCORES = {"IF": "instruction_following", "IDP": "identity_preservation", "PQ": "perceptual_quality"}
# IDEA-Bench in scenes: three levels of two items, each a dimension and the least that counts as "yes".
# Level 1: is it an edit of this picture at all; level 2: is most of it right; level 3: is it right throughout.
ITEMS = (("IF", 2.5), ("IDP", 2.5), ("IF", 5.0), ("IDP", 7.0), ("IF", 9.0), ("PQ", 7.0))


def answer(tag: str, max_key: int, verdict) -> int:
    """The key 0..max_key nearest to the truth: max_key * truth / 10, rounded, halves to the even key."""
    return round(max_key * getattr(verdict, SCORES[tag]) / 10)


def items(verdict) -> list[bool]:
    """The six yes/no items of an IDEA-Bench case."""
    return [getattr(verdict, SCORES[tag]) >= least for tag, least in ITEMS]
