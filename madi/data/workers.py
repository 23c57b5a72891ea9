"""Work on a stream by several processes, results in the stream's order, a bounded stretch of it in memory."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context

BATCH, AHEAD = 8, 4  # items a task, so that handing over costs little; tasks a worker that wait
HELD = 256 * 2**20  # bytes of items that wait


def each(
    work: Callable, items: Iterable, workers: int, weigh: Callable[[object], int] = lambda item: 0
) -> Iterator[tuple]:
    """(item, `work(item)`) of each item; by one process, here. weigh: bytes of an item, of which `HELD` may wait."""
    if workers == 1:
        yield from ((item, work(item)) for item in items)
        return
    start = "fork" if sys.platform == "linux" else "spawn"  # no torch here, and no thread of ours: a fork costs nothing
    with ProcessPoolExecutor(workers, get_context(start)) as pool:
        tasks: deque = deque()
        items, held = iter(items), 0
        while batch := list(islice(items, BATCH)):
            size = sum(map(weigh, batch))
            tasks.append((batch, size, pool.submit(_all, work, batch)))
            held += size
            while len(tasks) > AHEAD * workers or held > HELD:
                done, size, task = tasks.popleft()
                held -= size
                yield from zip(done, task.result())
        while tasks:
            done, _, task = tasks.popleft()
            yield from zip(done, task.result())


def _all(work: Callable, batch: list) -> list:
    return [work(item) for item in batch]
