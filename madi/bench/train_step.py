"""A training step on one edit and one T2I sample: forward and backward, ours against diffusers' padded dense rows."""

from __future__ import annotations

import contextlib
import multiprocessing
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import torch

from madi.bench import stock as padded
from madi.bench.clock import Row, by_turns
from madi.bench.subject import INSTRUCTION, SIZES, Subject, subject


def packed_step(on: Subject) -> torch.Tensor:
    """Gradients by the packed stream."""
    return gradients(on, lambda x, t, prompts: on.packed(x, t, prompts))


def dense_step(on: Subject) -> torch.Tensor:
    """Gradients by the stock transformer on padded rows (the edit first: the other way round stock is wrong)."""
    return gradients(on, lambda x, t, prompts: padded.velocity(on.packed.stock, x, t, prompts))


def single_step(on: Subject) -> torch.Tensor:
    """Gradients by the stock transformer, one unpadded row at a time: nothing is wasted on padding."""

    def rows(x, t, prompts):
        return (padded.velocity(on.packed.stock, x[i, None], t[i, None], prompts[i : i + 1]) for i in range(len(x)))

    return gradients(on, rows)


def gradients(on: Subject, forward: Callable) -> torch.Tensor:
    """All gradients in a row of a mean squared velocity. Rows that come one by one are accumulated."""
    stock, noise = on.packed.stock, on.noise().to(on.size.dtype)
    prompts = [on.tokens.prompt(INSTRUCTION, [on.latents()]), on.tokens.prompt(INSTRUCTION)]
    stock.zero_grad()
    made = forward(noise.expand(2, -1, -1, -1), torch.tensor([0.3, 0.6], device=on.device), prompts)
    for velocity in [made] if isinstance(made, torch.Tensor) else made:
        (velocity.float().square().sum() / noise.numel() / 2).backward()
    return torch.cat([p.grad.flatten() for p in stock.parameters() if p.grad is not None])


def train_step(on: Subject, name: str, folder: Path | str) -> Row:
    """Against padded dense rows, with peak memory of both."""
    return against("train_step", "padded dense rows", dense_step, on, name, folder)


def train_step_single(on: Subject, name: str, folder: Path | str) -> Row:
    """Against micro-batch 1, where nothing is padded and nothing wasted."""
    return against("train_step_single", "one unpadded row at a time", single_step, on, name, folder)


def against(title: str, named: str, other: Callable, on: Subject, name: str, folder: Path | str) -> Row:
    """name: of the size, which a process of its own makes again to measure memory."""
    times = by_turns(lambda: packed_step(on), lambda: other(on), on.size.repeats, on.device)
    on.packed.stock.zero_grad()
    return Row(title, named, *times, *(peak_mb(step, name, folder, on.device) for step in (packed_step, other)))


def peak_mb(step: Callable, name: str, folder: Path | str, device: torch.device) -> float:
    """Peak memory of one step above what the model takes, MB: each in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (step, name, str(folder), str(device), torch.get_num_threads()))


def _peak(step, name, folder, device, threads) -> float:
    torch.set_num_threads(threads)
    on = subject(SIZES[name], folder, torch.device(device))
    if on.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step(on)
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with resident() as peak:
        step(on)
    return (max(peak) - peak[0]) / 2**20


@contextlib.contextmanager
def resident() -> Iterator[list[int]]:
    """Resident bytes of this process, read every 2 ms within the block. (The system's own high-water mark will not do:
    a child takes over its parent's.)"""
    process, done = psutil.Process(), threading.Event()
    seen = [process.memory_info().rss]

    def watch():
        while not done.wait(0.002):
            seen.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()
