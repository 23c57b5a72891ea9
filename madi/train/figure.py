"""Figure 1a from the training's own functions: one target as a training sees it, without and with MAgD.

Shapes: C latent channels, h x w latent pixels, p latent pixels a token side, T = (h/p)(w/p) tokens.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from madi import images, shards
from madi.config import RunSlice
from madi.errors import MadiError
from madi.model.codec import Codec
from madi.model.sampler import generator_for, noise_for
from madi.samples import stream
from madi.train import magd

LEVELS = (0.95, 0.8, 0.7, 0.5, 0.2)
TOKEN = np.array([150, 96, 170], np.uint8)  # a masked token, in no colour that noise has much of
PATCH = 2  # OmniGen's


def write(job: RunSlice, samples: Path, out: Path) -> None:
    """Write a PNG of the first sample with a target at some noise levels: noised, and masked where MAgD masks.

    Errors: MadiError for a run without MAgD, and where no sample has a target.
    """
    if job.settings.magd is None:
        raise MadiError(f"run {job.run} has no `magd`", "--config", "the slice of a run that masks")
    sample = next((one for one in stream(samples) if one.row["target"]), None)
    if sample is None:
        raise MadiError("no sample with a target", samples, "at least one")
    codec = Codec.load(job.base)
    side = codec.scale * PATCH
    image = images.resize(sample.target(), job.size_px // side * side, job.size_px // side * side)
    latents = codec.encode(image[None])
    rows = pictures(job, codec, latents)
    settings = job.settings.magd
    rule = f"MAgD: {settings.rate:g} of the tokens, where noise level >= {settings.noise_level:g}"
    labels = ["standard denoising", rule]
    heads = [*(f"noise level {level:g}" for level in LEVELS), "to predict"]
    with shards.atomic(out) as partial:
        partial.write_bytes(images.contact_sheet([[*row, image] for row in rows], labels, heads, 160, "PNG"))


def pictures(job: RunSlice, codec: Codec, latents: torch.Tensor) -> list[list[np.ndarray]]:
    """The noised target at each level, decoded, and the same with masked tokens painted. latents [1,C,h,w]."""
    noise = noise_for(job.seed, "figure 1", latents.shape[1:])[None]
    count = latents.shape[-2] * latents.shape[-1] // PATCH**2
    ranks = torch.rand(1, count, generator=generator_for("figure 1", job.seed))
    settings = job.settings.magd
    plain, masked = [], []
    for level in LEVELS:
        t = torch.tensor([1 - level])
        noised = codec.decode(magd.interpolate(latents, noise, t))[0]
        hit = bool(magd.applies(torch.zeros(1), t, settings.probability, settings.noise_level))
        mask = magd.mask(ranks, settings.rate)[0] if hit else torch.zeros(count, dtype=torch.bool)
        plain.append(noised)
        masked.append(painted(noised, mask.numpy(), latents.shape[-1] // PATCH))
    return [plain, masked]


def painted(image: np.ndarray, mask_T: np.ndarray, across: int) -> np.ndarray:
    """The image [H,W,3] with masked tokens in one colour. across: tokens a row."""
    grid = mask_T.reshape(-1, across)
    side = image.shape[0] // grid.shape[0]
    there = grid.repeat(side, 0).repeat(side, 1)[..., None]
    return np.where(there, TOKEN, image)
