"""Attention over a packed stream: who sees whom, without padding and without a mask over the stream.

Shapes: L tokens of all samples one after another; S tokens of one sample; H heads, D channels a head.
Text is causal, an image is bidirectional, both see everything earlier in their own sample and nothing of others'.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_omnigen import OmniGenAttnProcessor2_0

from madi.model.runs import Run

# Queries x keys up to which neighbouring runs share one masked call. On a CPU, fewer and larger calls train about
# 7 % faster at 200 tokens a sample; beyond, a mask costs more than another call.
SMALL = 256 * 256


@dataclass(frozen=True)
class Call:
    """Queries [begin, end) on keys [0, end), in a sample's own positions. mask: bool [end-begin, end] or None."""

    begin: int
    end: int
    mask: torch.Tensor | None


class Holder(Protocol):
    """Holds keys and values of earlier positions, and may take those of a segment (`prefix.Chunk`)."""

    def join(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """A segment's own keys and values [S,H,D] to those of its sample from position 0 on."""
        ...


@dataclass(frozen=True)
class Segment:
    """One sample's stretch of the stream, positions [start, start + length): the calls that cover them; `total`, the
    sequence length that picks the rotary factors; where it starts behind position 0,
    who holds the keys and values before it. shift: how much further its tokens stand than they are, for `rotate` alone:
    the control for pauses that moves what follows them and adds nothing."""

    length: int
    calls: list[Call]
    total: int
    start: int = 0
    held: Holder | None = None
    shift: int = 0


def calls(parts: list[Run], device=None, small: int = SMALL) -> list[Call]:
    """Cover the runs with calls: neighbours merge while queries x keys stay within `small`."""
    groups: list[list[Run]] = []
    for run in parts:
        if groups and (run.end - groups[-1][0].begin) * run.end <= small:
            groups[-1].append(run)
        else:
            groups.append([run])
    return [Call(group[0].begin, group[-1].end, _mask(group, device)) for group in groups]


def _mask(group: list[Run], device) -> torch.Tensor | None:
    """True where a query may look: one number a token, how far it reaches, says it all."""
    if len(group) == 1 and (not group[0].causal or group[0].end - group[0].begin == 1):
        return None
    reach = [reach for run in group for reach in _reach(run)]
    return torch.arange(group[-1].end, device=device) < torch.tensor(reach, device=device)[:, None]


def _reach(run: Run) -> list[int]:
    return list(range(run.begin + 1, run.end + 1)) if run.causal else [run.end] * (run.end - run.begin)


class PackedAttention:
    """Attention processor: `attention_mask` carries the segments, which stock blocks hand through untouched.

    A tensor (or nothing) in its place means stock behaviour, so the same model object still serves stock pipelines.
    `layer` is the block's number, by which keys and values are held.
    """

    def __init__(self, layer: int = 0):
        self.layer = layer
        self.stock = OmniGenAttnProcessor2_0()

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, image_rotary_emb=None):
        if not isinstance(attention_mask, list):
            return self.stock(attn, hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb)
        width = attn.to_q.out_features // attn.heads
        q, k, v = (to(hidden_states[0]).unflatten(-1, (-1, width)) for to in (attn.to_q, attn.to_k, attn.to_v))
        q, k = rotate(q, *image_rotary_emb), rotate(k, *image_rotary_emb)
        return attn.to_out[0](attend(self.layer, attention_mask, q, k, v).flatten(1))[None]


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions in stock's halves convention. x [L,H,D]; cos and sin [L,1,D], sin's first half negated."""
    return (x * cos + x.roll(x.shape[-1] // 2, -1) * sin).to(x.dtype)


def attend(layer: int, segments: list[Segment], q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    """Every sample on its own tokens and those held for it. q, k, v and the result [L,H,D]."""
    lengths = [segment.length for segment in segments]
    return torch.cat([_own(layer, *of) for of in zip(segments, q.split(lengths), k.split(lengths), v.split(lengths))])


def _own(layer: int, segment: Segment, q, k, v) -> torch.Tensor:
    if segment.held is not None:
        k, v = segment.held.join(layer, k, v)
    start = segment.start
    return torch.cat([_call(call, q[call.begin - start : call.end - start], k, v) for call in segment.calls])


def _call(call: Call, q, k, v) -> torch.Tensor:
    q, k, v = (x.transpose(0, 1)[None] for x in (q, k[: call.end], v[: call.end]))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=call.mask)[0].transpose(0, 1)
