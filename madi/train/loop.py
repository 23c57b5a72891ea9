"""The training loop: float32, AdamW, warm-up and cosine, clipped gradients, kept every few steps.

Shapes as in `batches`. Every step depends on the state before it and on its own number alone, so that an interrupted
training that goes on ends in the same bits.
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import torch

from madi.model.packed import Packed
from madi.progress import progress, say
from madi.settings import Run
from madi.train import magd, mask_tokens, state
from madi.train.batches import Batch, Batches

COLUMNS = ("step", "loss", "masked", "unmasked", "edit", "t2i", "masked_share", "gradient", "learning_rate")


class Trainee(torch.nn.Module):
    """The transformer and, in MAgD runs, the mask tokens."""

    def __init__(self, packed: Packed, run: Run):
        super().__init__()
        self.packed = packed
        hidden = packed.stock.config.hidden_size
        self.mask_tokens = mask_tokens.build(run.magd, hidden, run.seed) if run.magd else None
        self.pool_size = run.magd.pool_size if run.magd else 0

    def forward(self, batch: Batch) -> torch.Tensor:
        """Predicted velocity [B,C,h,w] at the noisy, possibly masked images of a batch."""
        x = magd.interpolate(batch.image, batch.noise, batch.t)
        if self.mask_tokens is None:
            return self.packed(x, batch.t, batch.prompts)
        token = self.mask_tokens((batch.index * self.pool_size).long())
        return self.packed(x, batch.t, batch.prompts, partial(magd.corrupt, mask=batch.mask, token=token))


def learning_rate(step: int, run: Run) -> float:
    """Linear warm-up to the full rate, then a cosine to 0 at the last step."""
    if step < run.warmup_steps:
        return run.learning_rate * (step + 1) / run.warmup_steps
    done = (step - run.warmup_steps + 1) / (run.steps - run.warmup_steps)
    return run.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_of(trainee: Trainee, run: Run) -> torch.optim.Optimizer:
    """AdamW; only matrices decay, neither norms and biases nor embeddings (an unused row stays as it is)."""
    groups: dict[bool, list] = {True: [], False: []}
    for name, parameter in trainee.named_parameters():
        groups[parameter.ndim > 1 and "embed_tokens" not in name and "pool" not in name].append(parameter)
    decays = [
        {"params": groups[True], "weight_decay": run.weight_decay},
        {"params": groups[False], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW([group for group in decays if group["params"]], lr=run.learning_rate, fused=True)


def freeze_row(weight: torch.nn.Parameter, row: int) -> None:
    """Keep one embedding row out of training: the pause token of runs that are not expressive."""
    weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor(row, device=gradient.device), 0.0))


def train(trainee: Trainee, batches: Batches, run: Run, folder: Path, name: str) -> torch.Tensor:
    """Train to the last step, from the state in `folder` if there is one; gives the loss log [steps, COLUMNS]."""
    optimizer = optimizer_of(trainee, run)
    if not run.expressive:
        freeze_row(trainee.packed.stock.embed_tokens.weight, batches.tokens.pause_id)
    kept = state.load(folder, trainee, optimizer)
    log = torch.zeros(0, len(COLUMNS), dtype=torch.float64) if kept is None else kept
    if len(log):
        say(f"train {name}: goes on after step {len(log)} of {run.steps}")
    for number in progress(range(len(log), run.steps), run.steps - len(log), f"train {name}"):
        row = step(trainee, optimizer, batches[number], run, number)
        log = torch.cat([log, row[None]])
        if len(log) % run.save_every == 0 and len(log) < run.steps:
            state.save(folder, trainee, optimizer, log)
            say(f"train {name}: {describe(log[-run.save_every :])}")
    return log


def step(trainee: Trainee, optimizer, batch: Batch, run: Run, number: int) -> torch.Tensor:
    """One update; gives its row of the log."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(number, run)
    predicted, target = trainee(batch), magd.velocity(batch.image, batch.noise)
    loss = magd.squared_error(predicted, target, batch.weight).mean()
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    gradient = torch.nn.utils.clip_grad_norm_(trainee.parameters(), run.gradient_clip)
    optimizer.step()
    plain = magd.squared_error(predicted.detach(), target)
    return log_row(number, loss.detach(), plain, batch, gradient, learning_rate(number, run))


def log_row(number: int, loss, plain: torch.Tensor, batch: Batch, gradient, rate: float) -> torch.Tensor:
    """COLUMNS of one step [9]: `loss` weighted, as trained on; the four parts plain, NaN where a part has no sample."""
    masked = batch.mask.any(1)
    parts = [plain[chosen].mean() for chosen in (masked, ~masked, batch.edit, ~batch.edit)]
    return torch.tensor([number + 1, loss, *parts, masked.double().mean(), gradient, rate], dtype=torch.float64)


def describe(log: torch.Tensor) -> str:
    """The means of the last steps, in words."""
    last = dict(zip(COLUMNS, log.nanmean(0).tolist()))
    parts = ", ".join(f"{name} {last[name]:.3f}" for name in COLUMNS[2:6] if not math.isnan(last[name]))
    return f"step {int(log[-1, 0])}, loss {last['loss']:.3f} ({parts})"
