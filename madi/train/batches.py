"""Batches by step: which samples, at which time, under which noise, with which conditions dropped and tokens masked.

Every draw has a stream of its own, keyed by seed, epoch and sample: the same whatever the batch size, the order of
work, the number of processes or an interruption, and shared by all runs of one seed. The mask's stream is apart, so
that runs with and without it differ in nothing else and their differences are paired.

Shapes: B samples, C latent channels, h x w latent pixels, T noise tokens a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from madi.model.prompt import NEGATIVE, Prompt, Tokens
from madi.model.sampler import generator_for, noise_for
from madi.settings import Drop, Run
from madi.train import magd
from madi.train.examples import BadLatent, Example, Latents
from madi.train.stream import Stream


@dataclass(frozen=True)
class Row:
    """One sample of a batch. image, noise, weight [C,h,w]; t []; mask bool [T]; place in the pool [1] or [T], in [0,1);
    changed: the share of latents that an edit changes, NaN for text to image."""

    id: str
    image: torch.Tensor
    noise: torch.Tensor
    weight: torch.Tensor
    t: torch.Tensor
    prompt: Prompt
    edit: bool
    mask: torch.Tensor
    place: torch.Tensor
    changed: float

    @property
    def length(self) -> int:
        """Tokens in the stream: prompt, time token, noise tokens."""
        return len(self.prompt) + 1 + len(self.mask)


@dataclass(frozen=True)
class Batch:
    """Rows together: image, noise, weight [B,C,h,w]; t [B]; edit bool [B]; mask bool [B,T]; place [B,1] or [B,T]."""

    image: torch.Tensor
    noise: torch.Tensor
    weight: torch.Tensor
    t: torch.Tensor
    prompts: list[Prompt]
    edit: torch.Tensor
    mask: torch.Tensor
    place: torch.Tensor

    def to(self, device: torch.device) -> Batch:
        """On a device; the prompts' images follow when they are embedded."""
        return Batch(**{name: v if name == "prompts" else v.to(device) for name, v in vars(self).items()})


def together(rows: Sequence[Row]) -> Batch:
    """The rows as one batch."""
    names = ("image", "noise", "weight", "t", "mask", "place")
    columns = {name: torch.stack([getattr(row, name) for row in rows]) for name in names}
    return Batch(prompts=[row.prompt for row in rows], edit=torch.tensor([row.edit for row in rows]), **columns)


class Batches:
    """`batches[step]`: the rows of a step and the samples left out of it, from nothing but the step."""

    def __init__(self, examples: list[Example], latents: Latents, tokens: Tokens, run: Run):
        self.latents, self.tokens, self.run = latents, tokens, run
        self.stream = Stream(examples, run.seed, run.mixture)

    def __getitem__(self, step: int) -> tuple[list[Row], list[BadLatent]]:
        rows, bad = [], []
        for place in range(step * self.run.batch, (step + 1) * self.run.batch):
            try:
                rows.append(self.row(*self.stream[place]))
            except BadLatent as fault:
                bad.append(fault)
        return rows, bad

    def row(self, example: Example, epoch: int) -> Row:
        """A sample as a pass shows it. Errors: BadLatent."""
        key = self.run.seed, epoch, example.id
        image = self._latent(example.target, key)
        sources = [self._latent(name, key) for name in example.sources]
        t = magd.times(torch.randn((), generator=generator_for("time", *key)))
        seen = self.conditions(example, sources, key)
        prompt = self.prompt(example, seen, torch.rand(2, generator=generator_for("drop", *key)))
        mask, place = self.masking(t, image.shape, key)
        weight = self.weight(image, sources) if prompt.images else torch.ones_like(image)
        if self.run.magd and self.run.magd.loss == "masked":
            weight = magd.on_masked(weight[None], mask[None], self.tokens.patch)[0]
        noise = noise_for(self.run.seed, f"train {epoch} {example.id}", image.shape)
        bar = self.run.edit_weight.changed
        changed = magd.changed_share(image[None], sources[0][None], bar).item() if sources else float("nan")
        return Row(example.id, image, noise, weight, t, prompt, bool(sources), mask, place, changed)

    def _latent(self, name: str, key: tuple) -> torch.Tensor:
        """Mean of the moments, or a sample of them: anew in each pass, the same for each use in it."""
        mean, std = self.latents[name]
        if self.run.posterior == "mean":
            return mean
        return mean + std * torch.randn(mean.shape, generator=generator_for("posterior", name, *key))

    def conditions(self, example: Example, sources: list[torch.Tensor], key: tuple) -> list[torch.Tensor]:
        """The images of the whole prompt: the sources, and the masked one beside or in place of the first."""
        settings = self.run.masked_source
        if settings is None or example.masked is None:
            return sources
        if torch.rand((), generator=generator_for("masked", *key)) >= settings.keep:
            return sources
        masked = self._latent(example.masked, key)
        return [*sources, masked] if settings.place == "added" else [masked, *sources[1:]]

    def prompt(self, example: Example, images: list[torch.Tensor], draw: torch.Tensor) -> Prompt:
        """The whole prompt, or what is left of it after the guidance drops. draw: two uniform numbers."""
        dropped = drop(self.run.drop, *draw.tolist())
        if dropped in ("<cfg>", NEGATIVE):
            return self.tokens.prompt(dropped)
        if dropped == "text" and images:
            return self.tokens.prompt("", images)
        return self.tokens.prompt(example.instruction, images, example.plan if self.run.expressive else ())

    def weight(self, image: torch.Tensor, sources: list[torch.Tensor]) -> torch.Tensor:
        """The edit-weighted loss, against the first source (the edited one)."""
        return magd.edit_weight(image[None], sources[0][None], **self.run.edit_weight.model_dump())[0]

    def masking(self, t: torch.Tensor, shape: torch.Size, key: tuple) -> tuple[torch.Tensor, torch.Tensor]:
        """Mask [T] and places in the pool [1] or [T]. All numbers are drawn in any run, so that masks of two rates or
        levels are nested."""
        generator = generator_for("mask", *key)
        u, place = torch.rand(2, generator=generator)
        ranks = torch.rand(shape[-2] * shape[-1] // self.tokens.patch**2, generator=generator)
        settings = self.run.magd
        places = place[None]
        if settings and settings.draw == "token":
            places = torch.rand(ranks.shape, generator=generator_for("pool", *key))
        if settings is None or not magd.applies(u, t, settings.probability, settings.noise_level):
            return torch.zeros_like(ranks, dtype=torch.bool), places
        return magd.mask(ranks[None], settings.rate)[0], places


def drop(settings: Drop, u: float, half: float) -> str | None:
    """`<cfg>` or the stock negative prompt where all conditions go, "text" where the words go, None where none do."""
    if u < settings.all:
        return NEGATIVE if half >= 1 - settings.negative else "<cfg>"
    return "text" if u < settings.all + settings.text else None
