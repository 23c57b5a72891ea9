"""Floating-point operations that a packed stream costs, and what the machine can do: their quotient is the share used.

A multiply-add counts as two. Counted: the blocks' matrix products and what attention must look at (half of a square
for causal text). Not counted: norms, rotary turns, patch embeddings, the VAE. The ceiling is measured, not looked up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from madi.model.runs import Run, runs

if TYPE_CHECKING:  # what a sample costs is told without torch
    import torch

    from madi.model.attention import Call, Segment
    from madi.model.prompt import Prompt


def linear(config) -> int:
    """Of one token through all blocks: queries, keys, values, output, and the gated MLP's three products."""
    keys = config.num_key_value_heads * config.hidden_size // config.num_attention_heads
    weights = 2 * config.hidden_size * (config.hidden_size + keys) + 3 * config.hidden_size * config.intermediate_size
    return 2 * config.num_layers * weights


def looked_at(call: Call) -> int:
    """Pairs of query and key."""
    return (call.end - call.begin) * call.end if call.mask is None else int(call.mask.sum())


def stream(config, segments: list[Segment]) -> int:
    """Of one pass of the segments through all blocks, forward alone."""
    pairs = sum(looked_at(call) for segment in segments for call in segment.calls)
    tokens = sum(segment.length for segment in segments)
    return tokens * linear(config) + 4 * config.num_layers * config.hidden_size * pairs


def seen(some: list[Run]) -> int:
    """Pairs of query and key in the runs of one sample, by arithmetic."""
    causal = sum((run.end * (run.end + 1) - run.begin * (run.begin + 1)) // 2 for run in some if run.causal)
    return causal + sum((run.end - run.begin) * run.end for run in some if not run.causal)


def sample(config, prompt: Prompt, target: int) -> int:
    """Of one pass of a prompt, its time token and `target` noise tokens, forward alone."""
    pairs = seen(runs(len(prompt), prompt.slots, target))
    return (len(prompt) + 1 + target) * linear(config) + 4 * config.num_layers * config.hidden_size * pairs


def ceiling(device: torch.device, dtype: torch.dtype, seconds: float = 2.0) -> float:
    """The most operations a second that a large matrix product reaches on this device, of as many as fit the time."""
    import torch

    side = 8192 if device.type == "cuda" else 2048
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best, start = float("inf"), time.perf_counter()
    while time.perf_counter() - start < seconds or best == float("inf"):
        before = time.perf_counter()
        a @ b
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - before)
    return 2 * side**3 / best
