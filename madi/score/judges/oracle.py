"""The oracle in the judge's place: answers the five frozen questions, and IDEA-Bench's six items, from the truth.

A verdict holds instruction following, identity preservation and perceptual quality, 0..10 each
(`madi.scenes.truth.judge`).
"""

from __future__ import annotations

NAME = "oracle"
REVISION = "1"
SCORES = {"IF": "instruction_following", "IDP": "identity_preservation", "PQ": "perceptual_quality"}


def answer(tag: str, max_key: int, verdict) -> int:
    """The key 0..max_key nearest to the truth: max_key * truth / 10, rounded, halves to the even key."""
    return round(max_key * getattr(verdict, SCORES[tag]) / 10)


def items(asked: list[dict], verdict) -> list[bool]:
    """The yes/no items of an IDEA-Bench case, lowest level first: is dimension `tag` at `least` or above (0..10)?"""
    ordered = sorted(asked, key=lambda item: item["level"])
    return [getattr(verdict, SCORES[item["tag"]]) >= item["least"] for item in ordered]
