"""What passes through a packed model cost: see `madi.model.flops` for what is counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from madi.model.flops import stream
from madi.model.packed import Packed


@contextlib.contextmanager
def counted(packed: Packed) -> Iterator[list[int]]:
    """Within the block, a list of one number: what the passes through `packed` have cost so far."""
    total, trunk = [0], packed.trunk

    def counting(tokens, segments, rotary=None):
        total[0] += stream(packed.stock.config, segments)
        return trunk(tokens, segments, rotary)

    packed.trunk = counting
    try:
        yield total
    finally:
        del packed.trunk
