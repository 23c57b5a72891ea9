"""Items: scenes with an instruction and a truth, drawn without end by kind, split and seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from madi.scenes import words
from madi.scenes.edits import apply, draw
from madi.scenes.kinds import Item, compounds, edits, multis, sessions
from madi.scenes.splits import until
from madi.scenes.t2i import captions, genevals
from madi.scenes.world import CELLS, VARIANTS

KINDS = {
    "edit": edits,
    "compound": compounds,
    "session": sessions,
    "multi": multis,
    "t2i": captions,
    "geneval": genevals,
}


def items(kind: str, split: str, n: int | None, seed: int, **options) -> Iterator[Item]:
    """`n` items (None: without end) of a kind, the same for the same arguments whatever was drawn before."""
    count, index = 0, 0
    while n is None or count < n:
        identity = f"{split}-{kind}-{seed}-{index:05d}"
        for item in KINDS[kind](Random(identity), split, identity, index, **options):
            if n is not None and count == n:
                return
            yield item
            count += 1
        index += 1


def loose(item: Item, rng: Random) -> Item:
    """The item with one thing changed that nobody asked for: the base learns to over-edit, as large bases do.

    Never what a right answer may have otherwise: a cell that an op touched (or chose), or the lie of a new background.
    """
    source, target = item.sources[0], item.target
    touched = {op.get("cell") for op in item.ops} | {c for c in range(len(CELLS)) if target.at(c) != source.at(c)}
    spare = [thing for thing in target.things if thing.cell not in touched]
    lies = [] if any(op["op"] == "background" for op in item.ops) else [v for v in VARIANTS if v != target.variant]

    def make():
        if lies and (not spare or rng.random() < 0.3):
            return replace(target, variant=rng.choice(lies)), None
        if not spare:
            return None
        return apply(target, draw(replace(target, things=(rng.choice(spare),)), "recolor", rng), rng), None

    try:
        slack = until(make, item.split, 200)[0]
    except RuntimeError:
        return item
    return replace(item, target=slack, target_caption=words.caption(slack))
