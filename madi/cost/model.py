"""How many operations work takes: a multiply-add counts as two, as in `madi.model.flops`. Pure arithmetic.

Counted: matrix products and attention of the transformer, convolutions of the VAE, embedding models. Not counted:
norms, rotary turns, patch and time embeddings.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from madi.cost.shapes import Net, Prompt, Tower, Vae
from madi.model import flops
from madi.model.runs import part, prompt_runs

FORWARD, BACKWARD = 1, 2  # passes' worth


def parameters(net: Net) -> int:
    """Numbers of a transformer."""
    d, patch = net.hidden_size, net.in_channels * net.patch_size**2
    blocks = net.num_layers * 2 * d + flops.linear(net) // 2  # a multiply-add a number; two norms
    times = 2 * (net.time_step_dim * d + d * d + 2 * d)
    ends = 2 * (patch * d + d) + (2 * d * d + 2 * d) + (patch * d + patch) + d
    return blocks + net.vocab_size * d + times + ends


def forward(net: Net, prompt: Prompt, noise: int) -> int:
    """One pass of a sample: prompt, time token, noise tokens."""
    return flops.sample(net, prompt, noise)


def training(net: Net, samples: Iterable[tuple[str, float, Prompt]], noise: int, recomputed: bool) -> float:
    """An average sample, forward and backward; the forward pass once more where blocks are recomputed."""
    mean = sum(share * forward(net, prompt, noise) for _, share, prompt in samples)
    return (FORWARD + BACKWARD + recomputed) * mean


def prefix(net: Net, prompt: Prompt, begin: int = 0) -> int:
    """Keys and values of a prompt from position `begin` on."""
    pairs = flops.seen(part(prompt_runs(len(prompt), list(prompt.slots)), begin, len(prompt)))
    return (len(prompt) - begin) * flops.linear(net) + 4 * net.num_layers * net.hidden_size * pairs


def denoising(net: Net, before: int, noise: int) -> int:
    """One pass of the time and noise tokens behind `before` prompt tokens whose keys and values are there."""
    pairs = before + 1 + noise * (before + 1 + noise)
    return (1 + noise) * flops.linear(net) + 4 * net.num_layers * net.hidden_size * pairs


def edit(net: Net, branches: Sequence[int], noise: int, steps: int) -> int:
    """The steps of one edit: in each, every branch of its guidance behind its own prompt (their lengths)."""
    return steps * sum(denoising(net, before, noise) for before in branches)


def prefixes(net: Net, whole: Prompt, pauses: Sequence[int], bare: int, closing: int) -> int:
    """The prompts of one sample at several pause counts: what they begin with once; of each the pauses and the
    `closing` tokens behind them; the `bare` tokens by which the image-only prompt differs."""
    shared = Prompt(len(whole) - closing, whole.slots)
    once = prefix(net, shared)
    ends = (Prompt(len(shared) + count + closing, whole.slots) for count in pauses)
    alone = prefix(net, Prompt(len(shared) + bare, whole.slots), len(shared)) if whole.slots else 0
    return once + sum(prefix(net, end, len(shared)) for end in ends) + alone


def encoding(vae: Vae, px: int) -> int:
    """A square picture to latents."""
    widths, layers = vae.block_out_channels, vae.layers_per_block
    total, side, before = _conv(3, widths[0], px), px, widths[0]
    for number, width in enumerate(widths):
        total += _residual(before, width, side) + (layers - 1) * _residual(width, width, side)
        if number < len(widths) - 1:
            side //= 2
            total += _conv(width, width, side)
        before = width
    latent = 2 * vae.latent_channels
    return total + _middle(vae, side) + _conv(widths[-1], latent, side) + _conv(latent, latent, side, 1)


def decoding(vae: Vae, px: int) -> int:
    """Latents to a square picture."""
    widths, latent = vae.block_out_channels[::-1], vae.latent_channels
    side = px // 2 ** (len(widths) - 1)
    total = _conv(latent, latent, side, 1) + _conv(latent, widths[0], side) + _middle(vae, side)
    before = widths[0]
    for number, width in enumerate(widths):
        total += _residual(before, width, side) + vae.layers_per_block * _residual(width, width, side)
        if number < len(widths) - 1:
            side *= 2
            total += _conv(width, width, side)
        before = width
    return total + _conv(widths[-1], 3, side)


def _conv(into: int, out: int, side: int, kernel: int = 3) -> int:
    return 2 * kernel**2 * into * out * side**2


def _residual(into: int, out: int, side: int) -> int:
    return _conv(into, out, side) + _conv(out, out, side) + (into != out) * _conv(into, out, side, 1)


def _middle(vae: Vae, side: int) -> int:
    width, tokens = vae.block_out_channels[-1], side**2
    attention = vae.mid_block_add_attention * (8 * tokens * width**2 + 4 * tokens**2 * width)
    return 2 * _residual(width, width, side) + attention


def embedding(tower: Tower) -> float:
    """A picture (or a text: no patches) through an embedding model."""
    d, tokens = tower.width, tower.tokens
    block = 2 * tokens * d * d * (4 + 2 * tower.mlp) + 4 * tokens**2 * d
    return tower.layers * block + 2 * tokens * d * 3 * tower.patch**2
