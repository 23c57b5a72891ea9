"""Work on a stream by several processes, results in the stream's order, a bounded stretch of it in memory."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import chain, islice
from multiprocessing import get_context

BATCH, AHEAD = 8, 4  # items a task, so that handing over costs little; tasks a worker that wait


def each(work: Callable, items: Iterable, workers: int) -> Iterator:
    """`work(item)` of each item; by one process, here."""
    if workers == 1:
        yield from map(work, items)
        return
    start = "fork" if sys.platform == "linux" else "spawn"  # no torch here, and no thread of ours: a fork costs nothing
    with ProcessPoolExecutor(workers, get_context(start)) as pool:
        tasks: deque = deque()
        items = iter(items)
        while batch := list(islice(items, BATCH)):
            tasks.append(pool.submit(_all, work, batch))
            if len(tasks) > AHEAD * workers:
                yield from tasks.popleft().result()
        yield from chain.from_iterable(task.result() for task in tasks)


def _all(work: Callable, batch: list) -> list:
    return [work(item) for item in batch]
