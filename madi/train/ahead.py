"""The next step's rows are read and drawn while the present one is computed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from madi.train.batches import Batches


def ahead(batches: Batches, first: int, last: int) -> Iterator[tuple[int, tuple, float]]:
    """(step, what `batches[step]` gives, seconds waited for it) for steps `first` to `last` - 1."""
    with ThreadPoolExecutor(1, "batches") as thread:
        coming = thread.submit(batches.__getitem__, first)
        for step in range(first, last):
            began = time.perf_counter()
            rows = coming.result()
            waited = time.perf_counter() - began
            if step + 1 < last:
                coming = thread.submit(batches.__getitem__, step + 1)
            yield step, rows, waited
