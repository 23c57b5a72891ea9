"""Which sample stands at which place of the endless training stream, from the seed and the place alone.

A stream passes over all samples, or over a mixture: portions of given counts, permuted anew in each pass, or portions
of given weights, each of which passes over its own samples at its own pace.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch

from madi.errors import MadiError
from madi.model.sampler import generator_for
from madi.settings import Portion
from madi.train.examples import Example

BLOCK = 1000  # places among which weights are shared out exactly


def order(count: int, *key: object) -> list[int]:
    """The order of one pass over `count` samples."""
    return torch.randperm(count, generator=generator_for("order", *key)).tolist()


class Stream:
    """`stream[place]` gives the sample there and which pass over its portion this is."""

    def __init__(self, examples: Sequence[Example], seed: int, mixture: dict[str, Portion]):
        self.seed = seed
        found = {name: chosen(examples, portion, name) for name, portion in mixture.items()}
        self.weighted = {name: found[name] for name, portion in mixture.items() if portion.weight}
        self.pool = [one for name in found for one in self._counted(found[name], mixture[name].count, name)]
        if not mixture:
            self.pool = list(examples)
        self.shares = shared_out([mixture[name].weight for name in self.weighted], BLOCK)
        self._order = lru_cache(maxsize=8)(order)
        self._block = lru_cache(maxsize=2)(self._drawn)

    def __getitem__(self, place: int) -> tuple[Example, int]:
        if not self.weighted:
            epoch, at = divmod(place, len(self.pool))
            return self.pool[self._order(len(self.pool), self.seed, epoch)[at]], epoch
        block, at = divmod(place, BLOCK)
        which, rank = self._block(block)[at]
        name = list(self.weighted)[which]
        portion = self.weighted[name]
        epoch, at = divmod(block * self.shares[which] + rank, len(portion))
        return portion[self._order(len(portion), self.seed, name, epoch)[at]], epoch

    def _drawn(self, block: int) -> list[tuple[int, int]]:
        """For each place of a block, which portion and its how-manieth there."""
        kinds = [which for which, share in enumerate(self.shares) for _ in range(share)]
        seen, out = [0] * len(self.shares), []
        for number in order(BLOCK, self.seed, "block", block):
            out.append((kinds[number], seen[kinds[number]]))
            seen[kinds[number]] += 1
        return out

    def _counted(self, found: list[Example], count: int | None, name: str) -> list[Example]:
        """`count` of a portion's samples, the same in each pass."""
        if count is None:
            return []
        if count > len(found):
            raise MadiError(f"{len(found)} samples", f"mixture.{name}.count", f"at least {count}", "take fewer")
        return [found[number] for number in sorted(order(len(found), self.seed, "portion", name)[:count])]


def chosen(examples: Sequence[Example], portion: Portion, name: str) -> list[Example]:
    """The samples that a portion asks for. Errors: MadiError where there are none."""
    found = [
        one
        for one in examples
        if (portion.kind is None or one.kind == portion.kind)
        and (portion.sets is None or one.set in portion.sets)
        and (portion.planned is None or bool(one.plan) == portion.planned)
    ]
    if not found:
        sets = ", ".join(sorted({one.set for one in examples}))
        raise MadiError("no samples are of this portion", f"mixture.{name}", f"some of the sets {sets}")
    return found


def shared_out(weights: Sequence[float], total: int) -> list[int]:
    """`total` in whole numbers by the weights: the largest remainders round up."""
    exact = [total * weight / sum(weights) for weight in weights]
    shares = [int(one) for one in exact]
    for which in sorted(range(len(exact)), key=lambda i: shares[i] - exact[i])[: total - sum(shares)]:
        shares[which] += 1
    return shares
