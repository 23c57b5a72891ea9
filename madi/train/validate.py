"""Edits of a few fixed samples while a training goes on: what it can do now, to look at.

Shapes: N samples, H x W px, C latent channels, h x w latent pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from madi import images, samples, shards
from madi.errors import MadiError
from madi.model.checkpoint import Weights
from madi.model.sampler import Sampler, noise_for
from madi.settings import Run


class Validation:
    """The first samples of a set with their sources as latents; noise is the same at every look."""

    def __init__(self, file: Path, weights: Weights, run: Run, size_px: int):
        self.weights, self.run = weights, run
        self.samples = list(samples.stream(file, stop=run.validate_edits.samples))
        if not self.samples:
            raise MadiError("no samples", file, "some to validate on")
        codec, stock = weights.codec, weights.packed.stock
        codec.vae.to(stock.device)
        side = size_px // codec.scale
        self.shape = (codec.channels, side, side)
        self.sources = [
            [codec.encode(images.square(one.source(i), size_px)[None])[0] for i in range(one.count)]
            for one in self.samples
        ]

    @torch.no_grad()
    def edits(self) -> list[np.ndarray]:
        """uint8 [H,W,3] of each sample, by the weights as they are now."""
        how, packed = self.run.validate_edits, self.weights.packed
        asked = [self.weights.tokens.branches(s.row["instruction"], z) for s, z in zip(self.samples, self.sources)]
        noise = torch.stack([noise_for(self.run.seed, f"validation/{one.id}", self.shape) for one in self.samples])
        sampler = Sampler(packed, how.steps, how.guidance, how.image_guidance)
        with torch.autocast(packed.stock.device.type, torch.bfloat16, enabled=self.run.precision == "bfloat16"):
            made = sampler(asked, noise, [one.id for one in self.samples])
        return [self.weights.codec.decode(one[None].float())[0] for one in made]

    def write(self, path: Path, made: list[np.ndarray]) -> None:
        """A sheet of source, edit and target, row by row."""
        rows = [[one.source() if one.count else None, edit, one.target()] for one, edit in zip(self.samples, made)]
        labels = [one.row["instruction"] for one in self.samples]
        with shards.atomic(path) as partial:
            partial.write_bytes(images.contact_sheet(rows, labels, ["source", "edit", "target"], 192))
