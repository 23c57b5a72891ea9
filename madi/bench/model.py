"""`madi bench model`: ours against diffusers on the same weights: an edit, a pause sweep, its prefix, a training step.

Shapes: B samples, C latent channels, h x w latent pixels. Each row times whole edits: encoding, prompts, prefix and
`figure` Euler steps under three-branch guidance, of which `steps` are run and the others told from their median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from PIL import Image

from madi.bench import clock
from madi.bench import stock as padded
from madi.bench.clock import Row, apart, by_turns, wait
from madi.bench.flops import counted
from madi.bench.subject import INSTRUCTION, SIZES, Subject, subject
from madi.bench.train_step import train_step, train_step_single
from madi.model import device as devices
from madi.model import prefix
from madi.model.prompt import Branches, content
from madi.model.sampler import Sampler, times
from madi.progress import progress, say

GUIDANCE, IMAGE_GUIDANCE = 2.5, 1.5
Tick = Callable[[], None]


def measure(name: str, steps: int | None, folder: Path, device: str | None, threads: int) -> list[Row]:
    """All rows at the size called `name`. Errors: MadiError where the device or the folder is not there."""
    torch.set_num_threads(threads)
    there = torch.cuda.is_available()
    device = torch.device(device or ("cuda" if there else "cpu"))
    devices.hold(device.type)
    size = SIZES[name]
    on = subject(replace(size, steps=steps or size.steps), folder, device)
    say(f"model {name} on {device}: {on.ceiling / 1e9:.0f} GFLOP/s in a matrix product of {size.dtype}")
    say(f"prefix cache: {prefix.bytes_per_token(on.packed):,} bytes a token")
    rows = [row(on) for row in (edit, edit_unpadded, sweep, sweep_prefix)]
    rows += [row(on, name, folder) for row in (train_step, train_step_single)]
    clock.hold(rows, 1e-3 if size.dtype == torch.float32 else 0.1)
    return rows


def edit(on: Subject) -> Row:
    """One edit, against the stock pipeline as it runs: three padded rows, a dense mask, the prefix anew each step."""
    ours = partial(sweep_of_ours, on, (0,))
    return compared("edit", "the stock pipeline", on, ours, partial(piped, on, 0))


def edit_unpadded(on: Subject) -> Row:
    """One edit, against the stock transformer on each branch alone, unpadded."""
    ours = partial(sweep_of_ours, on, (0,))
    return compared("edit_unpadded", "stock, each branch unpadded", on, ours, partial(alone, on))


def sweep(on: Subject) -> Row:
    """An edit at four pause counts, against as many runs of the stock pipeline."""

    def other(tick):
        return torch.cat([piped(on, pauses, tick) for pauses in on.size.pauses])

    return compared("sweep", "the stock pipeline, four times", on, partial(sweep_of_ours, on, on.size.pauses), other)


def sweep_prefix(on: Subject) -> Row:
    """The sweep's prefixes, each beginning run once, against all twelve run whole."""
    prompts, totals = _prompts(on)

    def build(shared: bool):
        requests = [0] * len(prompts) if shared else range(len(prompts))
        return prefix.prefill(on.packed, prompts, requests, totals)

    def last(chunks):
        return torch.cat([torch.cat(chunk.parts(on.size.layers - 1), 1).flatten() for chunk in chunks])

    ours, other, far = by_turns(lambda: last(build(True)), lambda: last(build(False)), on.size.repeats + 1, on.device)
    return Row("sweep_prefix", "each prefix whole", ours, other, far)


def _prompts(on: Subject):
    source = on.latents()
    branches = [on.tokens.branches(INSTRUCTION, [source], pauses) for pauses in on.size.pauses]
    prompts = [prompt for b in branches for prompt in (b.conditional, b.image_only, b.unconditional)]
    return prompts, [max(map(len, prompts)) + 1 + on.noise()[0, 0].numel() // on.tokens.patch**2] * len(prompts)


def compared(name: str, against: str, on: Subject, ours: Callable[[Tick], torch.Tensor], other) -> Row:
    """Both run `steps` steps by turns. `ours` ticks once a step for all its edits, `other` once a step of each."""
    seen: tuple[list, list] = [], []
    made, costs = {}, []
    for _ in progress(range(on.size.repeats + 1), on.size.repeats + 1, name):
        with counted(on.packed) as cost:
            made[0], marks, costs = ticking(ours, on.device, cost)
        seen[0].append(marks)
        made[1], marks, _ = ticking(other, on.device, [0])
        seen[1].append(marks)
    told = [sum_of(marks[1:], on.size.steps, on.size.figure) for marks in seen]  # the first turn warms both up
    share = sum_of([costs], on.size.steps, on.size.figure) / told[0] / on.ceiling
    return Row(name, against, *told, apart(made[0], made[1]), share=share)


def ticking(work: Callable[[Tick], torch.Tensor], device: torch.device, cost: list[int]):
    """What the work gives; from tick to tick, the seconds and what was added to `cost`."""
    wait(device)
    clock, costs = [time.perf_counter()], [cost[0]]

    def tick():
        wait(device)
        clock.append(time.perf_counter())
        costs.append(cost[0])

    made = work(tick)
    return made, *([then - now for now, then in pairwise(marks)] for marks in (clock, costs))


def sum_of(runs: list[list[float]], steps: int, figure: int) -> float:
    """Seconds (or operations) of `figure` steps, from runs of `steps` steps of one or more edits in a row.

    Of each edit the first mark holds encoding, prompts and prefix; medians over the runs.
    """
    edits = len(runs[0]) // steps
    first = sum(statistics.median(run[edit * steps] for run in runs) for edit in range(edits))
    rest = statistics.median(mark for run in runs for k, mark in enumerate(run) if k % steps)
    return first + edits * (figure - 1) * rest


def sweep_of_ours(on: Subject, pauses: tuple[int, ...], tick: Tick) -> torch.Tensor:
    """Latents of the edit at the pause counts, their prefixes shared."""
    source = on.latents()
    branches = [on.tokens.branches(INSTRUCTION, [source], count) for count in pauses]
    sampler = Sampler(on.packed, on.size.steps, GUIDANCE, IMAGE_GUIDANCE)
    return sampler(branches, on.noise().expand(len(pauses), -1, -1, -1), [0] * len(pauses), tick)


def piped(on: Subject, pauses: int, tick: Tick) -> torch.Tensor:
    """Latents of the edit by the stock pipeline."""

    def stepped(pipeline, step, time, given):
        tick()
        return given

    return on.pipeline(
        prompt=[content(INSTRUCTION, 1, pauses=pauses)],
        input_images=[[Image.fromarray(on.source)]],
        height=on.size.side,
        width=on.size.side,
        num_inference_steps=on.size.steps,
        guidance_scale=GUIDANCE,
        img_guidance_scale=IMAGE_GUIDANCE,
        latents=on.noise(),
        output_type="latent",
        callback_on_step_end=stepped,
    ).images


@torch.no_grad()
def alone(on: Subject, tick: Tick) -> torch.Tensor:
    """Latents of the edit by the stock transformer, one branch a call and none padded."""
    branches: Branches = on.tokens.branches(INSTRUCTION, [on.latents()])
    each = (branches.conditional, branches.image_only, branches.unconditional)
    x, stock, clock = on.noise(), on.packed.stock, times(on.size.steps).to(on.device)
    given = [padded.inputs(stock, [prompt], x.shape) for prompt in each]
    for now, then in zip(clock[:-1], clock[1:]):
        c, i, u = (stock(x.to(stock.dtype), now[None], **g, return_dict=False)[0].to(x.dtype) for g in given)
        x = x + (then - now) * (u + IMAGE_GUIDANCE * (i - u) + GUIDANCE * (c - i))
        tick()
    return x
