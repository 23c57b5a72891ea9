"""GenEval's decisions over detected objects, as pure functions: the rules of the official evaluator, no detector.

A prompt's `metadata` is the official one:
{"tag", "include": [{"class", "count", "color"?, "position"?: [relation, i]}], "exclude"?: [{"class", "count"}]}.
Detections come per class, the surest first; colour and place are asked of the `count` surest only. `include` clauses
must all hold, no `exclude` clause may.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

POSITION_THRESHOLD = 0.1  # share of the two objects' sizes that a shift must exceed to count
CONFIDENCE = 0.3
COUNTING_CONFIDENCE = 0.9
MAX_OBJECTS = 16  # a class


@dataclass(frozen=True)
class Detection:
    """An object found: box (left, top, right, bottom) in px, the colour its crop was classified as, 0..1 sureness."""

    box: tuple[float, float, float, float]
    colour: str
    confidence: float = 1.0


def relations(a: Detection, b: Detection) -> set[str]:
    """Where `a` lies as seen from `b`: of "left of", "right of", "above", "below"; empty if they sit too close."""
    corners = np.array([a.box, b.box], np.float64).reshape(2, 2, 2)  # [object, corner, xy]
    centre_a, centre_b = corners.mean(axis=1)
    size_a, size_b = np.abs(corners[:, 1] - corners[:, 0])
    shift = centre_a - centre_b
    beyond = np.maximum(np.abs(shift) - POSITION_THRESHOLD * (size_a + size_b), 0) * np.sign(shift)
    if np.all(np.abs(beyond) < 1e-3):
        return set()
    dx, dy = beyond / np.linalg.norm(shift)
    held = {"left of": dx < -0.5, "right of": dx > 0.5, "above": dy < -0.5, "below": dy > 0.5}
    return {name for name, holds in held.items() if holds}


def keep(objects: dict[str, list[Detection]], tag: str) -> dict[str, list[Detection]]:
    """Detections sure enough for a tag (counting asks more), the surest first, at most 16 a class."""
    least = COUNTING_CONFIDENCE if tag == "counting" else CONFIDENCE
    ordered = {name: sorted(found, key=lambda d: -d.confidence) for name, found in objects.items()}
    return {name: [d for d in found if d.confidence > least][:MAX_OBJECTS] for name, found in ordered.items()}


def evaluate(metadata: dict, objects: dict[str, list[Detection]]) -> tuple[bool, str]:
    """(correct, reason): the reason has one line for each clause that failed, and is empty when none did."""
    reasons: list[str] = []
    groups: list[list[Detection] | None] = []  # for each include clause, what matched it, or None
    for clause in metadata.get("include", []):
        found = objects.get(clause["class"], [])[: clause["count"]]
        failure = _count(clause, found) or _colour(clause, found)
        failure = failure or _position(clause, found, groups)
        reasons += [failure] if failure else []
        groups.append(None if failure else found)
    for clause in metadata.get("exclude", []):
        count = len(objects.get(clause["class"], []))
        if count >= clause["count"]:
            reasons.append(f"expected {clause['class']}<{clause['count']}, found {count}")
    return not reasons, "\n".join(reasons)


def _count(clause, found):
    if len(found) < clause["count"]:
        return f"expected {clause['class']}>={clause['count']}, found {len(found)}"


def _colour(clause, found):
    if "color" not in clause:
        return None
    colours = [d.colour for d in found]
    right = colours.count(clause["color"])
    if right < clause["count"]:
        seen = ", ".join(f"{colours.count(c)} {c}" for c in dict.fromkeys(colours))
        return f"expected {clause['color']} {clause['class']}>={clause['count']}, found {right}; and {seen}"


def _position(clause, found, groups):
    if "position" not in clause:
        return None
    wanted, target = clause["position"]
    if groups[target] is None:
        return f"no target for {clause['class']} to be {wanted}"
    for thing in found:
        for other in groups[target]:
            held = relations(thing, other)
            if wanted not in held:
                seen = " and ".join(sorted(held)) or "no relation to"
                return f"expected {clause['class']} {wanted} target, found {seen} target"
