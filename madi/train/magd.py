"""The paper's training equations as pure functions. Nothing here draws: random numbers come in as tensors.

Shapes: B samples, C latent channels, h x w latent pixels, p latent pixels a token side, T = (h/p)(w/p) noise tokens a
sample, W hidden width. Time t [B] is OmniGen's: 0 noise, 1 image; noise_level = 1 - t. Where the paper's own notation
swaps the two, its Tables 6 and 8 settle it: masking is for the high noise levels.
"""

from __future__ import annotations

import math

import torch


def times(normal: torch.Tensor) -> torch.Tensor:
    """Logit-normal times in (0, 1) from standard normals, as OmniGen trains on."""
    return torch.sigmoid(normal)


def interpolate(image: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Eq. 3, on OmniGen's straight path: x_t = t * image + (1 - t) * noise. image, noise [B,C,h,w]; t [B]."""
    t = t[:, None, None, None]
    return t * image + (1 - t) * noise


def velocity(image: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Eq. 5's target, dx_t/dt = image - noise [B,C,h,w].

    Eq. 5 writes the noise as the target; read so, a masked token would learn nothing, since its noise is independent
    of all that is visible. OmniGen regresses the velocity, whose optimum there is the image expected from the rest.
    """
    return image - noise


def applies(u: torch.Tensor, t: torch.Tensor, probability: float, noise_level: float) -> torch.Tensor:
    """Eq. 6 and 9: bool [B], whether a sample is masked. u [B] uniform, one a sample (sec. 3.1.3's "instance").

    Eq. 6's `t < tau` and the text's `t >= tau` are one rule in two directions of time: masking at high noise.
    """
    return (u < probability) & (1 - t >= noise_level)


def mask(ranks: torch.Tensor, rate: float) -> torch.Tensor:
    """Eq. 4's m: bool [B,T], True at exactly floor(rate * T) tokens of each sample, those of the smallest ranks [B,T].

    m is {0,1}^d in the text and a percentage of tokens in Table 6: read as tokens.
    """
    count = math.floor(rate * ranks.shape[1])
    chosen = ranks.argsort(1)[:, :count]
    return torch.zeros_like(ranks, dtype=torch.bool).scatter(1, chosen, True)


def corrupt(patches: torch.Tensor, mask: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """Eq. 4 after the noise: m * e + (1 - m) * x_t over patch embeddings, before positions are added.

    patches [B,T,W]; mask bool [B,T]; token [B,T,W] or [B,1,W]: what stands at masked places.
    """
    return torch.where(mask[..., None], token.to(patches.dtype), patches)


def masked_then_noised(token: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """Figure 1's caption: the image is masked first and noise is added to all of it, t * e + (1 - t) * noise.

    The other reading of Eq. 4: what `corrupt` puts at masked places, with the noise left to see. token [B,T,W] or
    [B,1,W] in the place of the image's patch embeddings; noise [B,T,W], the noise's own; t [B].
    """
    t = t[:, None, None]
    return t * token + (1 - t) * noise


def squared_error(predicted: torch.Tensor, target: torch.Tensor, weight: torch.Tensor | float = 1.0) -> torch.Tensor:
    """Eq. 5: the (weighted) mean squared error of each sample [B], over all tokens, masked or not."""
    return (weight * (predicted - target) ** 2).flatten(1).mean(1)


def on_masked(weight: torch.Tensor, mask: torch.Tensor, patch: int) -> torch.Tensor:
    """Eq. 5's other reading: weights [B,C,h,w] that make `squared_error` the mean over masked tokens alone.

    A sample without a masked token keeps its weights, and so its plain loss. mask bool [B,T]; patch: p.
    """
    height, width = (side // patch for side in weight.shape[-2:])
    kept = mask.unflatten(1, (height, width))[:, None].repeat_interleave(patch, 2).repeat_interleave(patch, 3)
    share = mask.float().mean(1)[:, None, None, None]
    return torch.where(share > 0, weight * kept / share.clamp(min=1e-12), weight)


def counts(weight: torch.Tensor) -> torch.Tensor:
    """[B], 1 for a sample with any weight and 0 for a discarded one: what a batch's loss is divided by."""
    return (weight.flatten(1) > 0).any(1).to(weight.dtype)


def edit_weight(
    target: torch.Tensor,
    source: torch.Tensor,
    discard: float = 0.001,
    changed: float = 0.3,
    whole: float = 0.8,
    low: float = 5.0,
    high: float = 64.0,
) -> torch.Tensor:
    """Loss weights [B,C,h,w] of edits, OmniGen's clipped rule over d = |target - source| in latents of unit variance.

    mean(d) < discard: 0, a copy teaches copying. mean(d) <= whole: clip(1 / mean(d), low, high) where d > changed and
    1 elsewhere. A larger mean(d): 1, everything changed.
    """
    d = (target - source).abs()
    mean = d.flatten(1).mean(1)[:, None, None, None]
    local = torch.where(d > changed, (1 / (mean + 1e-6)).clamp(low, high), 1.0)
    return torch.where(mean < discard, 0.0, torch.where(mean <= whole, local, 1.0))


def changed_share(target: torch.Tensor, source: torch.Tensor, changed: float = 0.3) -> torch.Tensor:
    """[B], the share of latent elements over `changed`: 0 or 1 throughout means that the latents' scale is off."""
    return ((target - source).abs() > changed).flatten(1).double().mean(1)
