"""The paper's training equations as pure functions. Nothing here draws: random numbers come in as tensors.

Shapes: B samples, C latent channels, h x w latent pixels, T noise tokens a sample, W hidden width.
Time t [B] is OmniGen's: 0 noise, 1 image; noise_level = 1 - t. Where the paper's own notation swaps the two, its
Tables 6 and 8 settle it: masking is for the high noise levels.
"""

from __future__ import annotations

import math

import torch


def times(normal: torch.Tensor) -> torch.Tensor:
    """Logit-normal times in (0, 1) from standard normals, as OmniGen trains on."""
    return torch.sigmoid(normal)


def interpolate(image: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """The noisy image x_t = t * image + (1 - t) * noise. image, noise [B,C,h,w]; t [B]."""
    t = t[:, None, None, None]
    return t * image + (1 - t) * noise


def velocity(image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """What the model predicts, dx_t/dt = image - noise [B,C,h,w].

    The noise as a target would teach nothing at masked tokens: it is independent of all that is visible.
    """
    return image - noise


def applies(u: torch.Tensor, t: torch.Tensor, probability: float, noise_level: float) -> torch.Tensor:
    """Eq. 6: bool [B], whether a sample is masked. u [B] uniform, drawn for each sample and not for the batch."""
    return (u < probability) & (1 - t >= noise_level)


def mask(ranks: torch.Tensor, rate: float) -> torch.Tensor:
    """Bool [B,T], True at exactly floor(rate * T) tokens of each sample: those of the smallest `ranks` [B,T]."""
    count = math.floor(rate * ranks.shape[1])
    chosen = ranks.argsort(1)[:, :count]
    return torch.zeros_like(ranks, dtype=torch.bool).scatter(1, chosen, True)


def corrupt(patches: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Eq. 4, after the noise: m * e + (1 - m) * x_t over patch embeddings, before positions are added.

    patches [B,T,W]; mask bool [B,T]; token [B,W], one mask token a sample.
    """
    return torch.where(mask[..., None], token[:, None].to(patches.dtype), patches)


def squared_error(predicted: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
    """Eq. 5: the (weighted) mean squared error of each sample [B], over all tokens, masked or not."""
    return (weight * (predicted - target) ** 2).flatten(1).mean(1)


def edit_weight(
    target: torch.Tensor,
    source: torch.Tensor,
    discard: float = 0.001,
    changed: float = 0.3,
    whole: float = 0.8,
    low: float = 5.0,
    high: float = 64.0,
) -> torch.Tensor:
    """Loss weights [B,C,h,w] of edits, OmniGen's clipped rule over d = |target - source| in latents.

    mean(d) < discard: 0, a copy teaches copying. mean(d) <= whole: clip(1 / mean(d), low, high) where d > changed and
    1 elsewhere. A larger mean(d): 1, everything changed.
    """
    d = (target - source).abs()
    mean = d.flatten(1).mean(1)[:, None, None, None]
    local = torch.where(d > changed, (1 / (mean + 1e-6)).clamp(low, high), 1.0)
    return torch.where(mean < discard, 0.0, torch.where(mean <= whole, local, 1.0))
