"""The paper's five-question judge (its section 8): from answer keys to IF, IDP, PQ and their means.

A question has a tag (IF instruction following, IDP identity preservation, PQ perceptual quality) and keys 0..max_key,
worst to best, with -1 for "cannot be determined". Scores are 1..10, or None where nothing was answered.
"""

from __future__ import annotations

from collections.abc import Iterable

TAGS = ("IF", "IDP", "PQ")


def scale(key: int, max_key: int) -> float | None:
    """An answer key on the paper's "scale of 1-10": 1 + 9 key / max_key; None for -1, which is dropped."""
    if key == -1:
        return None
    if not 0 <= key <= max_key:
        raise ValueError(f"answer key {key}: a question with max_key {max_key} takes -1..{max_key}")
    return 1 + 9 * key / max_key


def mean(values: Iterable[float | None]) -> float | None:
    """Mean of the valid values; None if there are none."""
    valid = [value for value in values if value is not None]
    return sum(valid) / len(valid) if valid else None


def aggregate(answers: Iterable[tuple[str, float | None]]) -> dict[str, float | None]:
    """qa_if, qa_idp, qa_pq, qa_mllm = (IF + IDP) / 2 and qa_mean3 = (IF + IDP + PQ) / 3 from (tag, value) pairs.

    The two means need all their parts: a missing part is never a 0 and never left out of a mean.
    """
    answers = list(answers)
    parts = {tag: mean(value for t, value in answers if t == tag) for tag in TAGS}
    return {
        "qa_if": parts["IF"],
        "qa_idp": parts["IDP"],
        "qa_pq": parts["PQ"],
        "qa_mllm": _all_or_none(parts["IF"], parts["IDP"]),
        "qa_mean3": _all_or_none(*parts.values()),
    }


def _all_or_none(*values):
    return None if None in values else sum(values) / len(values)
