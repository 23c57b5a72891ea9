"""A number with what it was made of, so that who doubts it can see where."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Told:
    """value: in `unit`. formula: in words. inputs: what the words stand for; a text says where a number is from."""

    name: str
    value: float
    unit: str
    formula: str
    inputs: dict[str, float | str] = field(default_factory=dict)
