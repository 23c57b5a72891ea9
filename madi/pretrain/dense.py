"""A training forward of the base over padded rows: what `Packed` computes, compiled, for batches of one fixed shape.

On one CPU core it takes under half the time of the packed stream, whose many small attention calls do not compile.
Shapes: B samples, S positions (prompt, time token, noise tokens, then padding), W width, H heads, D channels a head.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from madi.model.packed import Packed
from madi.pretrain.mix import Batch


def _norm(norm, x: torch.Tensor) -> torch.Tensor:
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + norm.eps) * norm.weight


def _turn(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def block(layer, h: torch.Tensor, mask: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """A stock block over [B,S,W]: products in the autocast type, everything else in float32."""
    attention, x = layer.self_attn, _norm(layer.input_layernorm, h)

    def heads(to):
        return to(x).float().unflatten(-1, (attention.heads, -1)).transpose(1, 2)

    q, k, v = heads(attention.to_q), heads(attention.to_k), heads(attention.to_v)
    q, k = _turn(q, cos, sin), _turn(k, cos, sin)
    # Spelt out, the compiler fuses mask and softmax: two thirds of the time of the library's attention on a CPU.
    scores = (q @ k.transpose(-1, -2)).float() * q.shape[-1] ** -0.5 + mask
    seen = scores.softmax(-1).to(v.dtype) @ v
    h = h + attention.to_out[0](seen.transpose(1, 2).flatten(2)).float()
    gate, up = layer.mlp.gate_up_proj(_norm(layer.post_attention_layernorm, h)).float().chunk(2, -1)
    return h + layer.mlp.down_proj(F.silu(gate) * up).float()


def visible(batch: Batch, tail: int) -> torch.Tensor:
    """Additive mask [B,1,S,S]: text causal, an image whole, noise tokens everything of their own sample."""
    place = torch.arange(batch.length)
    mask = (place[None, :] <= place[:, None]).repeat(len(batch.prompts), 1, 1)
    for row, prompt in zip(mask, batch.prompts):
        for begin, end in prompt.slots:
            row[begin:end, begin:end] = True
        row[len(prompt) + 1 : len(prompt) + tail, : len(prompt) + tail] = True
    return torch.zeros(mask.shape).masked_fill(~mask, -1e9)[:, None]


class Dense:
    """Velocity of a batch through `packed`'s own parameters, and what its blocks hold on the way."""

    def __init__(self, packed: Packed, compiled: bool = True):
        self.packed = packed
        self.block = torch.compile(block, dynamic=False) if compiled else block

    def states(self, x: torch.Tensor, t: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(velocity [B,C,h,w] at noisy latents x [B,C,h,w] and times t [B], [B,S,W] after each block)."""
        packed, stock = self.packed, self.packed.stock
        tokens, clock = packed.tail(x, t)
        stream = packed.stream(batch.prompts, tokens)
        starts = torch.arange(len(batch.prompts)) * batch.length
        tail = tokens.shape[1]
        places = torch.cat([a + torch.arange(len(p) + tail) for a, p in zip(starts, batch.prompts)])
        h = stream.new_zeros(len(starts) * batch.length, stream.shape[-1]).index_copy(0, places, stream)
        h = h.view(len(starts), batch.length, -1)
        cos, sin = stock.rope(h, torch.arange(batch.length)[None])
        mask = visible(batch, tail)
        held = []
        for layer in stock.layers:
            h = self.block(layer, h, mask, cos, sin)
            held.append(h)
        rows = noise_tokens(_norm(stock.norm, h), batch, tail - 1)
        return packed.velocity(rows.float(), clock, x.shape).float(), held


def noise_tokens(h: torch.Tensor, batch: Batch, count: int) -> torch.Tensor:
    """[B,count,W]: of h [B,S,W], the noise tokens of each sample."""
    first = torch.tensor([len(prompt) + 1 for prompt in batch.prompts])
    return h[torch.arange(len(h))[:, None], first[:, None] + torch.arange(count)]
