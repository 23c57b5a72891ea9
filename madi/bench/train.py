"""`madi bench train`: a whole training step of ours against diffusers', on the same half-edit, half-T2I samples.

A step is everything from latents to updated weights: reading the cache (or encoding the pictures), forward, backward,
clipping, AdamW. Shapes as in `madi.train.batches`. Masks of MAgD are drawn for nobody here, since stock has none; ours
still goes the way that would put them in.
"""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from madi.bench import clock
from madi.bench import stock as padded
from madi.bench.clock import Row as Result
from madi.bench.clock import by_turns
from madi.bench.subject import INSTRUCTION, SIZES, Size, Subject, subject
from madi.bench.train_step import resident
from madi.model import device as devices
from madi.model import flops
from madi.model.sampler import noise_for
from madi.progress import progress, say
from madi.settings import Magd, Run
from madi.train import magd
from madi.train.batches import Batch, Row, together
from madi.train.micro import divided
from madi.train.trainee import Trainee, optimizer_of

EDITS, T2I = 2, 2
RUN = {"seed": 0, "steps": 1000, "batch": EDITS + T2I, "learning_rate": 1e-6, "warmup_steps": 1, "weight_decay": 0.01}
RUN |= {"gradient_clip": 1.0, "save_every": 1000, "expressive": False, "drop": {"all": 0, "text": 0}}
MAGD = Magd(probability=0.0, noise_level=0.7, rate=0.25, token="zero")


@dataclass(frozen=True)
class Course:
    """A trainee that all sides train, its optimizer and settings; pictures uint8 [N,H,W,3]; the file of latents, one a
    picture: a source and a target of each edit, then a target of each T2I sample."""

    on: Subject
    run: Run
    trainee: Trainee
    optimizer: torch.optim.Optimizer
    pictures: np.ndarray
    cache: Path


def measure(name: str, folder: Path, device: str | None, threads: int) -> list[Result]:
    """All rows at the size called `name`. Errors: MadiError where the device is not there, or the results differ."""
    torch.set_num_threads(threads)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    devices.hold(device)
    steps = [ours, *(other for _, _, other in OTHERS)]  # before a course of our own takes room
    memory = {step: peak_mb(step, name, folder, device) for step in progress(steps, len(steps), "memory")}
    with TemporaryDirectory() as place:
        course = course_of(SIZES[name], folder, device, Path(place))
        say(f"train {name} on {device}: {EDITS} edits and {T2I} text to image a step, {kind_of(course)}")
        rows = [against(course, *other, memory) for other in progress(OTHERS, len(OTHERS), "rows")]
    clock.hold(rows, 0.1 if course.run.precision == "bfloat16" else 1e-3)
    return rows


def kind_of(course: Course) -> str:
    """What is trained, in words."""
    trained = sum(p.numel() for p in course.trainee.parameters() if p.requires_grad)
    what = "low-rank adapters (all weights do not fit)" if course.run.lora else "all weights in float32"
    return f"{what}, {trained / 1e6:,.0f} M numbers, computed in {course.run.precision}"


def course_of(size: Size, folder: Path, device: str, place: Path) -> Course:
    """Random weights; all of them are trained where they fit in memory, else adapters."""
    on = subject(size, folder, torch.device(device))
    half = size.dtype == torch.bfloat16
    needed = 16 * sum(p.numel() for p in on.packed.stock.parameters())  # weights, gradients, two moments in float32
    fits = device == "cpu" or needed + 12e9 < torch.cuda.get_device_properties(0).total_memory  # and activations
    how = {"precision": "bfloat16" if half else "float32", "checkpoint_blocks": half}
    run = Run(**RUN, **how, magd=MAGD, lora=None if fits else {"rank": 16, "alpha": 16})
    trainee = Trainee(on.packed, run).to(device)
    pixels = np.random.default_rng(1).integers(0, 256, (2 * EDITS + T2I, size.side, size.side, 3), dtype=np.uint8)
    cache = place / "latents.safetensors"
    latents = {str(number): on.codec.encode(one[None])[0].cpu().contiguous() for number, one in enumerate(pixels)}
    save_file(latents, cache)
    return Course(on, run, trainee, optimizer_of(trainee, run), pixels, cache)


def cached(course: Course) -> list[torch.Tensor]:
    """Latents [C,h,w] of all pictures, read from the file."""
    with safe_open(course.cache, "pt") as file:
        return [file.get_tensor(str(number)) for number in range(len(course.pictures))]


def encoded(course: Course) -> list[torch.Tensor]:
    """The same, by the VAE, a picture at a time, as a loop that reads pictures does."""
    return [course.on.codec.encode(one[None])[0] for one in course.pictures]


def rows_of(course: Course, latents: list[torch.Tensor]) -> list[Row]:
    """The step's samples: edits first, so that stock's padded rows are right."""
    rows = []
    for number in range(EDITS + T2I):
        edit = number < EDITS
        image = latents[2 * number + 1] if edit else latents[EDITS + number]
        sources = [latents[2 * number]] if edit else []
        prompt = course.on.tokens.prompt(INSTRUCTION, sources)
        weight = magd.edit_weight(image[None], sources[0][None])[0] if edit else torch.ones_like(image)
        noise = noise_for(0, f"bench {number}", image.shape).to(image.device)
        tokens = image.shape[-2] * image.shape[-1] // course.on.tokens.patch**2
        t, mask = torch.tensor(0.2 + 0.2 * number), torch.zeros(tokens, dtype=torch.bool)
        rows.append(Row(str(number), image, noise, weight, t, prompt, edit, mask, torch.zeros(1), float("nan")))
    return rows


def updated(course: Course, losses: Iterator[torch.Tensor]) -> torch.Tensor:
    """Backward of each loss as it comes, clipping, AdamW; gives all gradients in a row, in pieces of the first kind."""
    course.optimizer.zero_grad(set_to_none=True)
    for loss in losses:
        (loss.sum() / (EDITS + T2I)).backward()
    torch.nn.utils.clip_grad_norm_(course.trainee.parameters(), course.run.gradient_clip)
    found = torch.cat([p.grad.flatten()[:100_000] for p in course.trainee.parameters() if p.grad is not None])
    course.optimizer.step()
    return found


def ours(course: Course) -> torch.Tensor:
    """The cache, micro-batches without padding, the packed stream."""
    rows = rows_of(course, cached(course))
    most = None if course.on.device.type == "cpu" else 33_000
    (micros,) = divided([row.length for row in rows], 1, most)
    batches = (together([rows[place] for place in places]).to(course.on.device) for places in micros)
    return updated(course, (course.trainee(batch)[0] for batch in batches))


def dense(course: Course, latents: Callable[[Course], list] = cached) -> torch.Tensor:
    """The stock transformer on padded rows with a dense mask; as many together as ours has."""
    rows = rows_of(course, latents(course))
    together_ = [rows] if course.on.device.type == "cpu" else [rows[::2], rows[1::2]]
    return updated(course, (loss_of(course, some) for some in together_))


def inloop(course: Course) -> torch.Tensor:
    """The same, with the pictures encoded in each step."""
    return dense(course, encoded)


def single(course: Course) -> torch.Tensor:
    """The stock transformer on one unpadded row at a time: nothing is wasted on padding."""
    return updated(course, (loss_of(course, [row]) for row in rows_of(course, cached(course))))


def loss_of(course: Course, rows: list[Row]) -> torch.Tensor:
    """Weighted losses [B] by the stock transformer."""
    batch: Batch = together(rows).to(course.on.device)
    x = magd.interpolate(batch.image, batch.noise, batch.t)
    half = course.run.precision == "bfloat16"
    with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
        made = padded.velocity(course.on.packed.stock, x, batch.t, batch.prompts)
    return magd.squared_error(made.float(), magd.velocity(batch.image, batch.noise), batch.weight)


OTHERS = (
    ("mix_vs_dense", "padded dense rows of stock", dense),
    ("mix_vs_microbatch1", "one unpadded row of stock at a time", single),
    ("mix_vs_inloop", "padded dense rows, pictures encoded in the step", inloop),
)


def against(course: Course, title: str, named: str, other: Callable, memory: dict[Callable, float]) -> Result:
    """Both by turns from the same weights."""
    with still(course):
        ours_s, other_s, far = by_turns(
            lambda: ours(course), lambda: other(course), course.on.size.repeats, course.on.device
        )
    rows = rows_of(course, cached(course))
    config = course.on.packed.stock.config
    share = sum(3 * flops.sample(config, row.prompt, len(row.mask)) for row in rows) / ours_s / course.on.ceiling
    tokens = sum(row.length for row in rows)
    return Result(title, named, ours_s, other_s, far, memory[ours], memory[other], share=share, tokens=tokens)


@contextlib.contextmanager
def still(course: Course) -> Iterator[None]:
    """Within the block AdamW does all its work at a rate of 0, so that every turn starts from the same weights."""
    before = [group["lr"] for group in course.optimizer.param_groups]
    for group in course.optimizer.param_groups:
        group["lr"] = 0.0
    try:
        yield
    finally:
        for group, rate in zip(course.optimizer.param_groups, before):
            group["lr"] = rate


def peak_mb(step: Callable, name: str, folder: Path, device: str) -> float:
    """Peak memory of a second step above what the model takes, MB, the optimizer's moments in it: in a process of its
    own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (step, name, str(folder), device, torch.get_num_threads()))


def _peak(step, name, folder, device, threads) -> float:
    torch.set_num_threads(threads)
    with TemporaryDirectory() as place:
        course = course_of(SIZES[name], Path(folder), device, Path(place))
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            step(course), step(course)
            return (torch.cuda.max_memory_allocated() - before) / 2**20
        with resident() as peak:
            step(course), step(course)
        return (max(peak) - peak[0]) / 2**20
