"""Batches by step: which samples, at which time, under which noise, with which conditions dropped and tokens masked.

Every draw has a stream of its own, keyed by seed, epoch and sample: the same whatever the batch size, the order of
work or an interruption, and shared by all runs of one seed. The mask's stream is apart, so that runs with and without
it differ in nothing else and their differences are paired.

Shapes: B samples, C latent channels, h x w latent pixels, T noise tokens a sample.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from madi.model.prompt import NEGATIVE, Prompt, Tokens
from madi.model.sampler import generator_for, noise_for
from madi.settings import Drop, Run
from madi.train import magd
from madi.train.examples import Example, Latents


@dataclass(frozen=True)
class Batch:
    """image, noise, weight [B,C,h,w]; t [B]; edit bool [B]; mask bool [B,T]; index: place in the pool in [0,1) [B]."""

    image: torch.Tensor
    noise: torch.Tensor
    weight: torch.Tensor
    t: torch.Tensor
    prompts: list[Prompt]
    edit: torch.Tensor
    mask: torch.Tensor
    index: torch.Tensor


def order(count: int, seed: int, epoch: int) -> list[int]:
    """The order of one pass over all samples."""
    return torch.randperm(count, generator=generator_for("order", seed, epoch)).tolist()


class Batches:
    """`batches[step]`, from nothing but the step."""

    def __init__(self, examples: list[Example], latents: Latents, tokens: Tokens, run: Run):
        self.examples, self.latents, self.tokens, self.run = examples, latents, tokens, run
        self._order: tuple[int, list[int]] = (-1, [])

    def __getitem__(self, step: int) -> Batch:
        rows = [self._row(*self.pick(place)) for place in range(step * self.run.batch, (step + 1) * self.run.batch)]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        return Batch(**{name: v if name == "prompts" else torch.stack(v) for name, v in columns.items()})

    def pick(self, place: int) -> tuple[Example, int]:
        """The sample at a place in the endless stream, and its epoch."""
        epoch, at = divmod(place, len(self.examples))
        if self._order[0] != epoch:
            self._order = epoch, order(len(self.examples), self.run.seed, epoch)
        return self.examples[self._order[1][at]], epoch

    def _row(self, example: Example, epoch: int) -> dict:
        key = self.run.seed, epoch, example.id
        image = self.latents[example.target]
        sources = [self.latents[name] for name in example.sources]
        t = magd.times(torch.randn((), generator=generator_for("time", *key)))
        prompt = self.prompt(example, sources, torch.rand(2, generator=generator_for("drop", *key)))
        weight = self.weight(image, sources) if prompt.images else torch.ones_like(image)
        noise = noise_for(self.run.seed, f"train {epoch} {example.id}", image.shape)
        row = {"image": image, "noise": noise, "weight": weight, "t": t, "prompts": prompt}
        return row | {"edit": torch.tensor(bool(sources))} | self.masking(t, image.shape, generator_for("mask", *key))

    def prompt(self, example: Example, sources: list[torch.Tensor], draw: torch.Tensor) -> Prompt:
        """The whole prompt, or what is left of it after the guidance drops. draw: two uniform numbers."""
        dropped = drop(self.run.drop, *draw.tolist())
        if dropped in ("<cfg>", NEGATIVE):
            return self.tokens.prompt(dropped)
        if dropped == "text" and sources:
            return self.tokens.prompt("", sources)
        return self.tokens.prompt(example.instruction, sources, example.plan if self.run.expressive else ())

    def weight(self, image: torch.Tensor, sources: list[torch.Tensor]) -> torch.Tensor:
        """The edit-weighted loss, against the first source (the edited one)."""
        return magd.edit_weight(image[None], sources[0][None], **self.run.edit_weight.model_dump())[0]

    def masking(self, t: torch.Tensor, shape: torch.Size, generator: torch.Generator) -> dict:
        """Mask and pool place. All numbers are drawn in any run, so that masks of two rates or levels are nested."""
        u, index = torch.rand(2, generator=generator)
        ranks = torch.rand(shape[-2] * shape[-1] // self.tokens.patch**2, generator=generator)
        settings = self.run.magd
        if settings is None or not magd.applies(u, t, settings.probability, settings.noise_level):
            return {"mask": torch.zeros_like(ranks, dtype=torch.bool), "index": index}
        return {"mask": magd.mask(ranks[None], settings.rate)[0], "index": index}


def drop(settings: Drop, u: float, half: float) -> str | None:
    """`<cfg>` or the stock negative prompt where all conditions go, "text" where the words go, None where none do."""
    if u < settings.all:
        return "<cfg>" if half < 0.5 else NEGATIVE
    return "text" if u < settings.all + settings.text else None
