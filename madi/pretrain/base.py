"""The small base: a real OmniGenTransformer2DModel, trained on the loose mix by the flow-matching loss.

Shapes: B samples, C latent channels, h x w latent pixels.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

from madi.model.checkpoint import Weights, save
from madi.model.codec import Codec
from madi.model.packed import Packed
from madi.model.prompt import Tokens
from madi.omnigen import tokenizer
from madi.pretrain import copying, quality
from madi.pretrain.dense import Dense, noise_tokens
from madi.pretrain.loop import autocast, train
from madi.pretrain.mix import Blocks, batch_of
from madi.pretrain.reader import Reader, reading
from madi.pretrain.settings import BaseSettings, Settings, checkpoint
from madi.progress import say


def build(own: BaseSettings, channels: int, vocabulary: int):
    """An untrained stock transformer that looks from a noise token to its place in the source."""
    from diffusers import OmniGenTransformer2DModel

    torch.manual_seed(own.train.seed)
    pairs = own.model["hidden_size"] // own.model["num_attention_heads"] // 2
    scaling = copying.factors(pairs)
    stock = OmniGenTransformer2DModel(
        in_channels=channels, vocab_size=vocabulary, pad_token_id=2, rope_scaling=scaling, **own.model
    )
    copying.start(stock, own.sample["size_px"] // 16)
    return stock


class Learner(torch.nn.Module):
    """The transformer, and readers of the source from its tokens halfway and of the target from the noise tokens
    before the last block, both thrown away. What the words ask to change must be known by then."""

    def __init__(self, packed: Packed, side: int):
        super().__init__()
        self.stock, self.layers = packed.stock, len(packed.stock.layers)
        width = packed.stock.config.hidden_size
        self.source, self.target = Reader(width, side), Reader(width, side)

    def told(self, held: list[torch.Tensor], batch, own: BaseSettings) -> torch.Tensor:
        """Cross-entropy of both; what an edit changes counts `changed_weight` times."""
        side = self.source.shares.shape[1]
        changed = batch.target_labels != batch.source_labels
        weight = 1 + (own.changed_weight - 1) * changed.float()
        answers = self.target(noise_tokens(held[self.layers - 2], batch, side))
        loss = reading(answers, batch.target_labels, weight)
        shown = [k for k, prompt in enumerate(batch.prompts) if prompt.slots]
        if shown:
            firsts = [batch.prompts[k].slots[0] for k in shown]
            tokens = torch.stack([held[self.layers // 2 - 1][k, a:b] for k, (a, b) in zip(shown, firsts)])
            loss = loss + reading(self.source(tokens), batch.source_labels[shown])
        return loss


def loss(learner: Learner, dense: Dense, batch, generator: torch.Generator, own: BaseSettings):
    """(squared velocity error, `changed_weight` times where the target's latents differ from the source's, and
    `reader` times what the readers tell; notes). Times are logit-normal around `time_mean`: t = 0 is noise."""
    t = torch.sigmoid(own.time_mean + torch.randn(len(batch.target), generator=generator))
    noise = torch.randn(batch.target.shape, generator=generator)
    at = t[:, None, None, None]
    with autocast(own.train.precision):
        velocity, held = dense.states(at * batch.target + (1 - at) * noise, t, batch)
        told = learner.told(held, batch, own)
    changed = ((batch.target - batch.source).abs().amax(1, keepdim=True) > own.changed_above).float()
    weight = 1 + (own.changed_weight - 1) * changed
    error = (velocity - (batch.target - noise)) ** 2
    value = (weight * error).flatten(1).mean(1) / weight.flatten(1).mean(1)
    notes = {"plain": float(error.detach().mean()), "told": float(told.detach())}
    return value.mean() + own.reader * told, notes


def fit(settings: Settings, folder: Path, out: Path, state: Path) -> dict:
    """Train with the tokenizer and VAE in `folder`; save a stock pipeline folder under `out`; held-out quality."""
    from diffusers import AutoencoderKL

    own = settings.base
    tokens = Tokens(tokenizer.load(folder / "tokenizer"))
    codec = Codec(AutoencoderKL.from_pretrained(folder / "vae"))
    packed = Packed(build(own, codec.channels, len(tokens.tokenizer)))
    weights, per_block = Weights(packed, tokens, codec), sum(own.counts)
    learner = Learner(packed, own.sample["size_px"] // 16)
    dense, batches = Dense(packed), Stream(Blocks(own, tokens, codec, settings.size_px, 10**6), per_block)

    def loss_of(step: int):
        length, found = batches.at(step)
        generator = torch.Generator().manual_seed(own.train.seed * 10**6 + step)
        return loss(learner, dense, batch_of(length, found), generator, own)

    def look(step: int):
        found = quality.edits(weights, own.sample, 96, own.train.seed, sheet=state / f"sheet_{step}.jpg")
        say(json.dumps(found["all"] | found["untouched"]))

    train(learner, loss_of, own.train, checkpoint(state, settings, "base"), look=look, look_every=own.look_every).swap()
    rest = [i for i in range(len(tokens.tokenizer)) if i != tokens.pause_id]
    with torch.no_grad():
        packed.stock.embed_tokens.weight[tokens.pause_id] = packed.stock.embed_tokens.weight[rest].mean(0)
    save(out, weights)
    return {
        "edits": quality.edits(weights, own.sample, own.held_out, own.train.seed, sheet=state / "sheet_edits.jpg"),
        "edits_in_pretraining_words": quality.edits(weights, own.sample, own.held_out, own.train.seed, "base"),
        "geneval": quality.text_to_image(weights, own.sample, own.held_out, own.train.seed),
    }


def _as_is(block):
    """Torch would make tensors of all arrays and pass each through a file of shared memory."""
    return block


class Stream:
    """Batches by step number, from blocks that a worker process draws ahead."""

    def __init__(self, blocks: Blocks, per_block: int):
        self.blocks, self.per_block, self.number = blocks, per_block, None

    def at(self, step: int) -> tuple:
        """(length, samples) of a step; steps are asked for in order."""
        number, place = divmod(step, self.per_block)
        if self.number is None:
            rest = torch.utils.data.Subset(self.blocks, range(number, len(self.blocks)))
            loader = torch.utils.data.DataLoader(
                rest, batch_size=None, num_workers=1, prefetch_factor=2, collate_fn=_as_is
            )
            self.found, self.number = iter(loader), number - 1
        while self.number < number:
            self.held, self.number = next(self.found), self.number + 1
        return self.held[place]
