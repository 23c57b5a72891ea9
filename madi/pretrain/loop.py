"""One training loop for all: clip, AdamW or Muon, EMA, a checkpoint that resumes, and a line of log now and then."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch

from madi.errors import MadiError
from madi.pretrain import kept
from madi.pretrain.settings import Steps, rate
from madi.progress import say
from madi.train.average import Average


def autocast(precision: str):
    """bfloat16 matrix products where asked for; parameters, sums and optimiser stay float32."""
    return torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")


BLOCKS = ("layers.", "resblocks.")  # where the names of a transformer's blocks begin: OmniGen's, open_clip's


class Muon(torch.optim.Optimizer):
    """Muon (Jordan et al. 2024): orthogonal momentum for matrices [M,N]; rates match AdamW's by root mean square.

    The same as `torch.optim.Muon(adjust_lr_fn="match_rms_adamw")`, which works in bfloat16: on a CPU without bfloat16
    instructions that takes longer than forward and backward together. This one works in float32, and takes all
    matrices of one shape at once.
    """

    def __init__(self, params, lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure=None):
        """One step; closures are not supported."""
        for group in self.param_groups:
            shapes = dict.fromkeys(p.shape for p in group["params"] if p.grad is not None)
            for shape in shapes:
                alike = [p for p in group["params"] if p.grad is not None and p.shape == shape]
                self._step(alike, group["lr"], group["weight_decay"], group["momentum"])

    def _step(self, alike: list[torch.Tensor], lr: float, weight_decay: float, momentum: float):
        grads = [p.grad for p in alike]
        for p in alike:
            self.state[p].setdefault("momentum_buffer", torch.zeros_like(p))
        held = [self.state[p]["momentum_buffer"] for p in alike]
        torch._foreach_lerp_(held, grads, 1 - momentum)
        ahead = torch.stack(torch._foreach_lerp(grads, held, momentum))  # Nesterov
        torch._foreach_mul_(alike, 1 - lr * weight_decay)
        rate = lr * 0.2 * math.sqrt(max(alike[0].shape))
        torch._foreach_add_(alike, list(orthogonal(ahead)), alpha=-rate)


def orthogonal(x_KMN: torch.Tensor) -> torch.Tensor:
    """K matrices with their singular values moved close to 1: five Newton-Schulz steps with Muon's coefficients."""
    tall = x_KMN.shape[1] > x_KMN.shape[2]
    x = x_KMN.mT if tall else x_KMN
    x = x / x.flatten(1).norm(dim=1).clamp_min(1e-7)[:, None, None]
    for _ in range(5):
        gram = x @ x.mT
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.mT if tall else x


class Both:
    """Two optimisers as one, for `train` and the kept state."""

    def __init__(self, *parts: torch.optim.Optimizer):
        self.parts = parts

    @property
    def param_groups(self) -> list[dict]:
        """The groups of all parts."""
        return [group for part in self.parts for group in part.param_groups]

    def step(self):
        """A step of each."""
        for part in self.parts:
            part.step()

    def zero_grad(self, set_to_none: bool = True):
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict:
        """As one optimiser's: parameters of the second part count on where the first's end."""
        state, first = {}, 0
        for part in self.parts:
            own = part.state_dict()
            state |= {first + number: moments for number, moments in own["state"].items()}
            first += _count(part)
        return {"state": state, "param_groups": []}

    def load_state_dict(self, found: dict):
        """What `state_dict` gave; groups stay as they are."""
        first = 0
        for part in self.parts:
            last = first + _count(part)
            state = {number - first: moments for number, moments in found["state"].items() if first <= number < last}
            part.load_state_dict({"state": state, "param_groups": part.state_dict()["param_groups"]})
            first = last


def _count(part: torch.optim.Optimizer) -> int:
    return sum(len(group["params"]) for group in part.param_groups)


def optimiser(module: torch.nn.Module, steps: Steps) -> torch.optim.Optimizer | Both:
    """AdamW; norms, biases and embeddings are not decayed. With `steps.muon`, Muon for the matrices of the blocks."""
    named = list(module.named_parameters())
    hidden = [p for n, p in named if steps.muon and p.ndim == 2 and any(block in n for block in BLOCKS)]
    rest = [(n, p) for n, p in named if all(p is not h for h in hidden)]
    decayed = [p for n, p in rest if p.ndim > 1 and "embed" not in n]
    free = [p for n, p in rest if not (p.ndim > 1 and "embed" not in n)]
    groups = [{"params": decayed, "weight_decay": steps.weight_decay}, {"params": free, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=steps.learning_rate, betas=(0.9, 0.98), foreach=True)
    if not hidden:
        return _peaked(adam)
    return Both(_peaked(Muon(hidden, steps.muon, steps.weight_decay)), _peaked(adam))


def _peaked(part: torch.optim.Optimizer) -> torch.optim.Optimizer:
    for group in part.param_groups:
        group["peak"] = group["lr"]
    return part


def train(
    module: torch.nn.Module,
    loss_of: Callable[[int], tuple[torch.Tensor, dict]],
    steps: Steps,
    state: Path,
    every: int = 50,
    look: Callable[[int], None] | None = None,
    look_every: int = 0,
) -> Average:
    """Train to the end, from the folder `state` if it is there. `loss_of(step)` draws its data from the step number
    alone, so that a resumed training goes on as an uninterrupted one would. Returns the average; the module holds the
    last weights.

    With `steps.decay_steps`, the state before the decay is kept apart from the states within it, so that a training
    can be made longer later: with more `steps`, it goes on from there. Errors: MadiError where the kept state is
    already past the start of the decay."""
    average, optimise = Average(module, steps.ema), optimiser(module, steps)
    decay = steps.steps - (steps.decay_steps or 0)
    decayed = state / f"decay-{decay}-{steps.steps}"
    first = restore(decayed if (decayed / kept.FILE).exists() else state, module, optimise, average)
    if steps.decay_steps and first > decay and not (decayed / kept.FILE).exists():
        do = f"set steps to {first + steps.decay_steps} or more, or delete the state to train anew"
        raise MadiError(f"the state is of step {first}, and the decay begins at step {decay}", state, do=do)
    began, sums = time.monotonic(), {}
    for step in range(first, steps.steps):
        for group in optimise.param_groups:
            group["lr"] = group["peak"] * rate(step, steps)
        loss, notes = loss_of(step)
        loss.backward()
        notes["norm"] = float(torch.nn.utils.clip_grad_norm_(module.parameters(), steps.gradient_clip))
        optimise.step()
        optimise.zero_grad(set_to_none=True)
        average.update()
        sums = {k: sums.get(k, 0.0) + v for k, v in (notes | {"loss": float(loss.detach())}).items()}
        if (step + 1) % every == 0:
            means = " ".join(f"{k} {v / every:.4f}" for k, v in sums.items())
            say(f"{step + 1}/{steps.steps} {means} {(time.monotonic() - began):.0f} s")
            sums = {}
        if (step + 1) % steps.save_every == 0 or step + 1 in (decay, steps.steps):
            save(state if step < decay else decayed, module, optimise, average, step + 1)
        if look and look_every and (step + 1) % look_every == 0:
            average.swap()
            look(step + 1)
            average.swap()
    return average


def save(state: Path, module: torch.nn.Module, optimise, average: Average, step: int) -> None:
    """Write a checkpoint whole or not at all: safetensors, as fine-tuning's are."""
    kept.save(state, both(module, average), optimise, torch.tensor([average.count, step]))


def restore(state: Path, module: torch.nn.Module, optimise, average: Average) -> int:
    """Put a checkpoint back; the steps that were done, 0 where there is none. Errors: MadiError for a broken one."""
    found = kept.load(state, both(module, average), optimise)
    average.count, step = (0, 0) if found is None else found.tolist()
    return step


def both(module: torch.nn.Module, average: Average) -> torch.nn.Module:
    """The module and its average as one; loading into it fills both in place."""
    return torch.nn.ModuleList([module, torch.nn.ParameterList(average.values)])
