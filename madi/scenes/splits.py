"""Which split a scene belongs to: by the hash of its canonical form, so that no benchmark picture, source or target,
can have been trained on. Some shape-colour pairs and some pairs of ops occur in benchmarks alone.
"""

from __future__ import annotations

import hashlib

from madi.scenes.world import Scene

SPLITS = {"base": (0.0, 0.60), "tune": (0.60, 0.80), "validation": (0.80, 0.85), "bench": (0.85, 1.0)}
HELD_OUT = frozenset({("star", "green"), ("heart", "blue")})
HELD_OUT_COMPOUNDS = (frozenset({"style", "remove"}), frozenset({"light", "add"}))


def share(scene: Scene) -> float:
    """A scene's place in [0, 1), by hash: the splits are ranges of it."""
    return int.from_bytes(hashlib.sha256(scene.canonical().encode()).digest()[:7], "big") / 2**56


def split_of(scene: Scene) -> str | None:
    """The one split a scene may occur in; with a held-out pair, the benchmarks' or nobody's."""
    place = share(scene)
    if any((thing.shape, thing.colour) in HELD_OUT for thing in scene.things):
        return "bench" if place >= 0.70 else None
    return next(name for name, (low, high) in SPLITS.items() if low <= place < high)


def until(make, split: str, tries: int = 100_000):
    """Draw until the scene is this split's; `make` returns (scene, rest) or None."""
    for _ in range(tries):
        made = make()
        if made is not None and split_of(made[0]) == split:
            return made
    raise RuntimeError(f"no scene of split {split} in {tries} draws")
