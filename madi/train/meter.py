"""How fast a training goes: tokens a second, the share of the machine's matrix products, how long it waits for data.

A step's operations are three times its forward pass's; what activation checkpointing computes again is not counted
(MFU, not hardware use).
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import psutil
import torch

from madi.model import flops
from madi.train.batches import Row


class Meter:
    """Sums since the last reading, and the last reading in words. ceiling: operations a second of all processes."""

    def __init__(self, config, device: torch.device, ceiling: float):
        self.config, self.device, self.ceiling = config, device, ceiling
        self.told = ""
        self._restart()

    def _restart(self) -> None:
        self.began, self.waited, self.tokens, self.operations = time.perf_counter(), 0.0, 0, 0

    def waiting(self, seconds: float) -> None:
        """So long a step waited for its data."""
        self.waited += seconds

    def count(self, rows: Sequence[Row]) -> None:
        """A step went through these rows."""
        self.tokens += sum(row.length for row in rows)
        self.operations += sum(3 * flops.sample(self.config, row.prompt, len(row.mask)) for row in rows)

    def read(self, loss: float) -> dict[str, float]:
        """Figures since the last reading: tokens a second, MFU, shares of time and memory."""
        seconds = max(1e-9, time.perf_counter() - self.began)
        found = {
            "tokens_per_second": self.tokens / seconds,
            "mfu": self.operations / seconds / self.ceiling,
            "data_wait": self.waited / seconds,
            "memory_gb": memory_gb(self.device),
        }
        self.told = (
            f"loss {loss:.3f}, {found['tokens_per_second']:,.0f} tokens/s, MFU {found['mfu']:.0%}, "
            f"data wait {found['data_wait']:.1%}, {found['memory_gb']:.1f} GB"
        )
        self._restart()
        return found


def memory_gb(device: torch.device) -> float:
    """Peak of the GPU, or what this process holds now."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return psutil.Process().memory_info().rss / 2**30
