"""What one metric came to for one edit, and the Score row it becomes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from madi import records


@dataclass(frozen=True)
class Outcome:
    """A value, or none and why. `excluded`: no such number exists here; `missing`: it should, and does not."""

    value: float | None
    status: str = "ok"
    reason: str | None = None


def of(value: float | None, reason: str | None = None) -> Outcome:
    """A number (a reason may still say what kind), or excluded for a reason where there is none.

    A number that is not finite is missing: a failed measurement is counted, never a 0.
    """
    if value is None:
        return Outcome(None, "excluded", reason)
    if not math.isfinite(value):
        return Outcome(None, "missing", "not a finite number")
    return Outcome(float(value), "ok", reason)


def missing(reason: str) -> Outcome:
    return Outcome(None, "missing", reason)


def key_of(edit: dict) -> dict:
    """The columns of an Edit row that name it."""
    return {name: edit[name] for name in records.EDIT_KEY}


def record(edit: dict, metric: str, against: str, backend: str, outcome: Outcome) -> dict:
    """The Score row of one number."""
    row = key_of(edit) | {"metric": metric, "against": against, "backend": backend}
    row |= {"value": outcome.value, "status": outcome.status, "reason": outcome.reason}
    return row | {"score_id": records.score_id(row)}
