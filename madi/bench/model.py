"""`madi bench model`: ours against diffusers on the same weights: an edit, a pause sweep, its prefix, a training step.

Shapes: B samples, C latent channels, h x w latent pixels. Each row times whole edits: encoding, prompts, prefix and
`figure` Euler steps under three-branch guidance, of which `steps` are run and the others told from their median.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch
from PIL import Image

from madi.bench import stock as padded
from madi.bench.clock import Row, apart, by_turns, wait
from madi.bench.subject import INSTRUCTION, Subject
from madi.model import prefix
from madi.model.prompt import Branches, content
from madi.model.sampler import Sampler, times

GUIDANCE, IMAGE_GUIDANCE = 2.5, 1.5
Tick = Callable[[], None]


def edit(on: Subject) -> Row:
    """One edit, against the stock pipeline as it runs: three padded rows, a dense mask, the prefix anew each step."""
    return compared("edit", on, lambda tick: sweep_of_ours(on, (0,), tick), lambda tick: piped(on, 0, tick))


def edit_unpadded(on: Subject) -> Row:
    """One edit, against the stock transformer on each branch alone, unpadded."""
    return compared("edit_unpadded", on, lambda tick: sweep_of_ours(on, (0,), tick), lambda tick: alone(on, tick))


def sweep(on: Subject) -> Row:
    """An edit at four pause counts, against as many runs of the stock pipeline."""

    def other(tick):
        return torch.cat([piped(on, pauses, tick) for pauses in on.size.pauses])

    return compared("sweep", on, lambda tick: sweep_of_ours(on, on.size.pauses, tick), other, len(on.size.pauses))


def sweep_prefix(on: Subject) -> Row:
    """The sweep's prefixes, each beginning run once, against all twelve run whole."""
    prompts, totals = _prompts(on)

    def build(shared: bool):
        requests = [0] * len(prompts) if shared else range(len(prompts))
        return prefix.prefill(on.packed, prompts, requests, totals)

    def last(chunks):
        return torch.cat([torch.cat(chunk.parts(on.size.layers - 1), 1).flatten() for chunk in chunks])

    ours, other, far = by_turns(lambda: last(build(True)), lambda: last(build(False)), on.size.repeats + 1, on.device)
    return Row("sweep_prefix", ours, other, far)


def _prompts(on: Subject):
    source = on.latents()
    branches = [on.tokens.branches(INSTRUCTION, [source], pauses) for pauses in on.size.pauses]
    prompts = [prompt for b in branches for prompt in (b.conditional, b.image_only, b.unconditional)]
    return prompts, [max(map(len, prompts)) + 1 + on.noise()[0, 0].numel() // 4] * len(prompts)


def compared(name: str, on: Subject, ours: Callable[[Tick], torch.Tensor], other, edits: int = 1) -> Row:
    """Both run `steps` steps by turns. `ours` ticks once a step for all its edits, `other` once a step of each."""
    seen: tuple[list, list] = [], []
    made = {}
    for turn in range(on.size.repeats):
        for k, work in enumerate((ours, other)):
            made[k], marks = ticking(work, on.device)
            seen[k].append(marks)
    told = [sum_of(marks, on.size.steps, on.size.figure) for marks in seen]
    return Row(name, *told, apart(made[0], made[1]))


def ticking(work: Callable[[Tick], torch.Tensor], device: torch.device) -> tuple[torch.Tensor, list[float]]:
    """What the work gives and the seconds from tick to tick."""
    wait(device)
    marks = [time.perf_counter()]

    def tick():
        wait(device)
        marks.append(time.perf_counter())

    made = work(tick)
    return made, [then - now for now, then in zip(marks, marks[1:])]


def sum_of(runs: list[list[float]], steps: int, figure: int) -> float:
    """Seconds of `figure` steps. Of each edit the first mark holds encoding, prompts and prefix; medians over turns."""
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
