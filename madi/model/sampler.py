"""Euler steps from noise to image under stock OmniGen's guidance.

Shapes: B samples, C latent channels, h x w latent pixels; each sample has two (T2I) or three branches.
Time t runs from 0 (noise) to 1 (image).
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from madi.model.packed import Packed
from madi.model.prompt import Branches

SCHEDULE = {"num_train_timesteps": 1, "shift": 1.0, "invert_sigmas": True}  # stock OmniGen's


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The scheduler that a stock OmniGen folder holds."""
    return FlowMatchEulerDiscreteScheduler(**SCHEDULE)


def times(steps: int) -> torch.Tensor:
    """The stock pipeline's times: float32 [steps + 1] from 0 to 1."""
    schedule = scheduler()
    schedule.set_timesteps(sigmas=np.linspace(1, 0, steps + 1)[:steps])
    return schedule.sigmas


def generator_for(*key: object) -> torch.Generator:
    """A CPU generator that depends on the key alone: not on order, batch, device or what was drawn before."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def noise_for(seed: int, key: str, shape) -> torch.Tensor:
    """Standard normal float32 noise of one sample; the same for every editor and pause count."""
    return torch.randn(tuple(shape), generator=generator_for("noise", seed, key))


@torch.no_grad()
def sample(
    packed: Packed,
    conditions: list[Branches],
    noise: torch.Tensor,
    steps: int,
    guidance: float,
    image_guidance: float,
) -> torch.Tensor:
    """Latents [B,C,h,w] made from `noise` [B,C,h,w], all branches of all samples in one packed stream a step.

    v = v_unc + image_guidance * (v_img - v_unc) + guidance * (v_cond - v_img); without source images v_img is v_unc,
    which leaves v_unc + guidance * (v_cond - v_unc).
    """
    prompts, owner, places = _lay_out(conditions)
    tokens = noise.shape[-2] * noise.shape[-1] // packed.stock.config.patch_size**2
    longest = [max(len(p) for p, o in zip(prompts, owner) if o == i) for i in range(len(conditions))]
    totals = [longest[o] + 1 + tokens for o in owner]
    conditional, image_only, unconditional = torch.tensor(places).T
    x, clock = noise, times(steps).to(noise.device)
    for now, then in zip(clock[:-1], clock[1:]):
        v = packed(x[owner].to(packed.stock.dtype), now.expand(len(owner)), prompts, totals=totals).to(x.dtype)
        c, i, u = v[conditional], v[image_only], v[unconditional]
        x = x + (then - now) * (u + image_guidance * (i - u) + guidance * (c - i))
    return x


def _lay_out(conditions: list[Branches]):
    """All prompts in a row, whose each is, and per sample the places of its conditional, image-only, unconditional."""
    prompts, owner, places = [], [], []
    for sample, branch in enumerate(conditions):
        start = len(prompts)
        mine = [branch.conditional, branch.unconditional] + [branch.image_only] * (branch.image_only is not None)
        prompts += mine
        owner += [sample] * len(mine)
        places.append((start, start + len(mine) - 1, start + 1))
    return prompts, owner, places
