"""Edits by weights of ours or of the base: packed branches, stock guidance, noise that all editors share.

Shapes: N edits of one size, H x W px, C latent channels, h x w = H/8 x W/8 latent pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from madi import provenance
from madi.config import Sampler as Settings
from madi.edit.editors.reference import TruthThroughVae
from madi.edit.work import Result, Work
from madi.model import checkpoint
from madi.model import device as devices
from madi.model.codec import Codec
from madi.model.prompt import FILLER, PAUSE, layout
from madi.model.sampler import Sampler, noise_for
from madi.omnigen.sizes import fitted


class Checkpoint:
    """A stock OmniGenPipeline folder: the base or a run's weights. Plans are not used at inference (7.12)."""

    def __init__(self, folder: Path, sampler: Settings, size_px: int, config_sha: str, pauses_as="pause"):
        self.weights = checkpoint.load(folder, sampler.device, sampler.dtype)
        how = sampler.steps, sampler.guidance, sampler.image_guidance, sampler.rope
        self.sampler = Sampler(self.weights.packed, *how)
        self.size_px, self.pauses_as, self.settings = size_px, pauses_as, sampler
        config = self.weights.packed.stock.config
        self.step = self.weights.codec.scale * config.patch_size
        self.most = self.step * config.pos_embed_max_size  # px a side that the position table holds
        self.facts = {
            "sampler_steps": sampler.steps,
            "guidance_text": sampler.guidance,
            "guidance_image": sampler.image_guidance,
            "weights_sha": provenance.folder_sha(folder),
            "config_sha": config_sha,
        }

    def edit(self, works: Sequence[Work]) -> list[Result]:
        """Works of one output size go through the model together. One whose pictures do not fit fails alone."""
        pictures = self._sources(works)
        results = {i: pictures[w.shown] for i, w in enumerate(works) if isinstance(pictures[w.shown], Result)}
        sizes = {
            i: pictures[w.shown][0].shape[:2] if w.sample.count else (self.size_px,) * 2
            for i, w in enumerate(works)
            if i not in results
        }
        for size in dict.fromkeys(sizes.values()):
            places = [i for i, other in sizes.items() if other == size]
            results |= zip(places, self._same_size([works[i] for i in places], pictures, size), strict=True)
        return [results[i] for i in range(len(works))]

    def _same_size(self, works, pictures, size) -> list[Result]:
        codec, tokens = self.weights.codec, self.weights.tokens
        names = dict.fromkeys(w.shown for w in works)
        latents = {name: [codec.encode(image[None])[0] for image in pictures[name]] for name in names}
        texts = [layout(w.sample.row["instruction"], w.sample.count, (), w.pause) for w in works]
        if self.pauses_as != "pause":
            instead = {"filler": f" {FILLER}", "shift": ""}[self.pauses_as]
            texts = [text.replace(PAUSE, instead) for text in texts]
        branches = [
            tokens.branches(w.sample.row["instruction"], latents[w.shown], w.pause, self.pauses_as) for w in works
        ]
        shape = (codec.channels, size[0] // codec.scale, size[1] // codec.scale)
        # Keyed by sample and seed alone: what differs between editors and pause counts is never the noise.
        noise = torch.stack([noise_for(w.seed, f"{w.benchmark}/{w.sample.id}", shape) for w in works])
        made = self.sampler(branches, noise, [w.shown for w in works])
        ropes = [self.sampler.rope(branch, noise.shape) for branch in branches]
        return [self._result(one, text, len(b.conditional), r) for one, text, b, r in zip(made, texts, branches, ropes)]

    def _result(self, latents: torch.Tensor, text: str, tokens: int, rope: str) -> Result:
        """One edit, decoded by itself: a picture does not depend on what it was decoded with."""
        if not torch.isfinite(latents).all():
            return Result(None, "the latents are not finite", text, tokens, rope)
        return Result(self.weights.codec.decode(latents[None])[0], None, text, tokens, rope)

    def _sources(self, works) -> dict[str, list[np.ndarray] | Result]:
        """Source images as the model sees them, those that works share once; or why they cannot be edited."""
        return {name: self._fitted(sample) for name, sample in {work.shown: work.sample for work in works}.items()}

    def _fitted(self, sample) -> list[np.ndarray] | Result:
        """A sample's sources, no side longer than `max_side`, sides in whole tokens; or a failed edit."""
        limit, pictures = self.settings.max_side, []
        if not sample.count and self.size_px > self.most:
            return Result(None, f"{self.size_px} px a side; the model's position table holds {self.most} px at most")
        for number in range(sample.count):
            image = sample.source(number)
            name = f"source {number + 1} of {image.shape[1]}x{image.shape[0]} px"
            if self.settings.oversized == "refuse" and max(image.shape[:2]) > limit:
                return Result(None, f"{name} is larger than edit.sampler.max_side, {limit} px", refused=True)
            image = fitted(image, limit, self.step)
            if max(image.shape[:2]) > self.most:
                size = f"{image.shape[1]}x{image.shape[0]} px"
                return Result(None, f"{name} is edited at {size}; the position table holds {self.most} px at most")
            pictures.append(image)
        return pictures


def truth_through_vae(folder: Path | str, config_sha: str, sampler: Settings) -> TruthThroughVae:
    """The reference editor that needs a model's VAE, on the sampler's device and at its sizes."""
    devices.hold(sampler.device)
    codec = Codec.load(folder)
    codec.vae.to(sampler.device)
    return TruthThroughVae(config_sha, codec, provenance.folder_sha(folder), sampler.max_side)


def set_threads(count: int) -> None:
    """Threads from the config, never from the host: sums in another order are other bytes."""
    torch.set_num_threads(count)
