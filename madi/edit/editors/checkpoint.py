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
from madi.edit.work import Result, Work, fit
from madi.model import checkpoint
from madi.model import device as devices
from madi.model.codec import Codec
from madi.model.prompt import FILLER, PAUSE, layout
from madi.model.sampler import Sampler, noise_for


class Checkpoint:
    """A stock OmniGenPipeline folder: the base or a run's weights. Plans are not used at inference (7.12)."""

    def __init__(self, folder: Path, sampler: Settings, size_px: int, config_sha: str, pauses_as="pause"):
        self.weights = checkpoint.load(folder, sampler.device, sampler.dtype)
        self.sampler = Sampler(self.weights.packed, sampler.steps, sampler.guidance, sampler.image_guidance)
        self.size_px, self.pauses_as = size_px, pauses_as
        self.facts = {
            "sampler_steps": sampler.steps,
            "guidance_text": sampler.guidance,
            "guidance_image": sampler.image_guidance,
            "weights_sha": provenance.folder_sha(folder),
            "config_sha": config_sha,
        }

    def edit(self, works: Sequence[Work]) -> list[Result]:
        """Works of one output size go through the model together."""
        pictures = self._sources(works)
        sizes = [pictures[w.shown][0].shape[:2] if w.sample.count else (self.size_px,) * 2 for w in works]
        results: dict[int, Result] = {}
        for size in dict.fromkeys(sizes):
            places = [i for i, other in enumerate(sizes) if other == size]
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

    def _sources(self, works) -> dict[str, list[np.ndarray]]:
        """Source images, those that works share once, at sides that are multiples of 16 px."""
        samples = {work.shown: work.sample for work in works}
        return {name: [fit(one.source(i)) for i in range(one.count)] for name, one in samples.items()}


def truth_through_vae(folder: Path | str, config_sha: str, device: str = "cpu") -> TruthThroughVae:
    """The reference editor that needs a model's VAE, on a device."""
    devices.hold(device)
    codec = Codec.load(folder)
    codec.vae.to(device)
    return TruthThroughVae(config_sha, codec, provenance.folder_sha(folder))


def set_threads(count: int) -> None:
    """Threads from the config, never from the host: sums in another order are other bytes."""
    torch.set_num_threads(count)
