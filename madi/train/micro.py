"""Divides a batch among processes and into micro-batches, so that no token is padding and no process waits long."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


def divided(lengths: Sequence[int], processes: int, most: int | None) -> list[list[list[int]]]:
    """For each process its micro-batches, each the places of its samples in the batch.

    lengths: tokens of each sample. Every process gets as many micro-batches as any other, since they step together;
    some of the last may be empty. None holds more than `most` tokens (None: no limit) unless it is a single sample.
    Longest first into the emptiest, so that micro-batches are about equal.
    """
    highest = -(-len(lengths) // processes)
    least = 1 if most is None else min(highest, -(-sum(lengths) // (most * processes)))
    for rounds in range(least, highest + 1):
        bins = filled(lengths, rounds * processes)
        if most is None or all(len(b) <= 1 or sum(lengths[i] for i in b) <= most for b in bins):
            break
    return [bins[process::processes] for process in range(processes)]


def filled(lengths: Sequence[int], count: int) -> list[list[int]]:
    """All places in `count` bins of about equal length, a bin's places in ascending order; empty ones where there are
    more bins than places."""
    bins: list[list[int]] = [[] for _ in range(count)]
    heap = [(0, number) for number in range(count)]
    for place in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        total, number = heapq.heappop(heap)
        bins[number].append(place)
        heapq.heappush(heap, (total + lengths[place], number))
    return [sorted(one) for one in bins]
