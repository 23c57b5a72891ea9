"""What the base is trained on: a stream of blocks of scene items, drawn by block number alone, encoded and worded.

A block is drawn and encoded once and used `reuse` times, with other drops and other noise. Its samples go into batches
of a few lengths, so that the dense training forward has few shapes to compile.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import numpy as np
import torch

from madi.model.codec import Codec
from madi.model.prompt import Prompt, Tokens
from madi.pretrain.reader import labels
from madi.pretrain.settings import BaseSettings
from madi.scenes import samples
from madi.scenes.kinds import Item
from madi.scenes.render import render


@dataclass
class Drawn:
    """One item with its latents, float32 [C,h,w]; `words` is the instruction, sometimes with its plan spelt out;
    `truth` holds the labels of the target and of the first source (the target's again where there is none)."""

    words: str
    sources: list[np.ndarray]
    target: np.ndarray
    truth: tuple[np.ndarray, np.ndarray]


@dataclass
class Batch:
    """B samples with prompts of at most `length` tokens, time and noise tokens included. target, source [B,C,h,w];
    source is the target again where there is none (T2I): nothing to weigh. Labels [B,F] of the scenes of both."""

    prompts: list[Prompt]
    target: torch.Tensor
    source: torch.Tensor
    target_labels: torch.Tensor
    source_labels: torch.Tensor
    length: int


class Blocks(torch.utils.data.Dataset):
    """Block number -> list of batches, the same for the same settings; `size` items drawn a block."""

    def __init__(self, settings: BaseSettings, tokens: Tokens, codec: Codec, size_px: int, count: int):
        self.own, self.tokens, self.codec, self.size_px, self.count = settings, tokens, codec, size_px, count

    def __len__(self):
        return self.count

    def __getitem__(self, number: int) -> list[tuple]:
        torch.set_num_threads(1)
        rng = Random(f"base-{self.own.train.seed}-{number}")
        items = [draw(self.own, number * self.own.block + k, rng) for k in range(self.own.block)]
        drawn = encode(self.codec, items, self.own, rng, self.size_px)
        uses = [self.worded(one, rng) for _ in range(self.own.reuse) for one in drawn]
        rng.shuffle(uses)
        tail = 1 + drawn[0].target[0].size // 4
        groups = {length: [] for length in self.own.lengths}
        for one in uses:
            fitting = [length for length in self.own.lengths if len(one[0]) + tail <= length]
            if fitting:
                groups[fitting[0]].append(one)
        batches, found = [], []
        for length, batch, count in zip(self.own.lengths, self.own.batches, self.own.counts):
            found = groups[length] or found  # few items are of the greatest length, and a block may have none
            batches += [(length, [found[(i * batch + k) % len(found)] for k in range(batch)]) for i in range(count)]
        rng.shuffle(batches)
        return batches

    def worded(self, one: Drawn, rng: Random) -> tuple:
        """(ids, slots, sources, target, first source, labels of both) of one use: text and images dropped together, or
        the text alone."""
        chance, images = rng.random(), [torch.from_numpy(s) for s in one.sources]
        if chance < self.own.drop_all:
            prompt = self.tokens.dropped() if chance < self.own.drop_all / 2 else self.tokens.negative()
        elif chance < self.own.drop_all + self.own.drop_text and images:
            prompt = self.tokens.prompt("", images)
        else:
            prompt = self.tokens.prompt(one.words, images)
        return (
            prompt.ids,
            prompt.slots,
            one.sources if prompt.slots else [],
            one.target,
            (one.sources or [one.target])[0],
            *one.truth,
        )


def draw(own: BaseSettings, index: int, rng: Random) -> Item:
    """An item of the mix; a share of the edits with one change that nobody asked for."""
    kind = rng.choices(list(own.mix), list(own.mix.values()))[0]
    identity = f"base-{kind}-pretrain-{own.train.seed}-{index}"
    made = samples.KINDS[kind](Random(identity), "base", identity, rng.randrange(10**6))
    item = rng.choice(made)
    return samples.loose(item, rng) if item.sources and rng.random() < own.loose else item


@torch.no_grad()
def encode(codec: Codec, items, own: BaseSettings, rng: Random, size: int) -> list[Drawn]:
    """Latents of all sources and targets, 32 pictures at a time."""
    pictures = [render(scene, size) for item in items for scene in (*item.sources, item.target)]
    parts = [codec.encode(np.stack(pictures[k : k + 32])) for k in range(0, len(pictures), 32)]
    latents, drawn, at = torch.cat(parts).numpy(), [], 0
    for item in items:
        words = item.instruction
        if item.plan and rng.random() < own.plans:
            words = " ".join([words, *item.plan])  # spelt out without pause tokens: those belong to expressive runs
        end = at + len(item.sources)
        truth = labels([item.target, (item.sources or [item.target])[0]]).numpy()
        drawn.append(Drawn(words, list(latents[at:end]), latents[end], tuple(truth)))
        at = end + 1
    return drawn


def batch_of(length: int, found: list[tuple]) -> Batch:
    """Tensors of what a worker drew."""
    prompts = [Prompt(ids, slots, [torch.from_numpy(s) for s in sources]) for ids, slots, sources, *_ in found]
    return Batch(prompts, *(torch.from_numpy(np.stack([one[k] for one in found])) for k in (3, 4, 5, 6)), length)
