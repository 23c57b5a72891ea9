"""Attention over a packed stream: who sees whom, without padding and without a dense mask.

Shapes: L tokens of all samples one after another; S tokens of one sample; H heads, D channels a head.
Text is causal, an image is bidirectional, both see everything earlier in their own sample and nothing of others'.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.models.transformers.transformer_omnigen import OmniGenAttnProcessor2_0


@dataclass(frozen=True)
class Run:
    """Queries [begin, end) of one sample, in its own positions; keys are [0, end). Causal (text) or not (image)."""

    begin: int
    end: int
    causal: bool


@dataclass(frozen=True)
class Segment:
    """One sample's stretch of the packed stream: `length` tokens in `runs`; `total` picks the rotary factors."""

    length: int
    runs: tuple[Run, ...]
    total: int


def segment(prompt_length: int, slots, target: int, total: int | None = None) -> Segment:
    """Prompt (causal but for its image slots), one time token (causal), `target` noise tokens (bidirectional)."""
    runs, at = [], 0
    for begin, end in slots:
        runs += [Run(at, begin, True)] * (at < begin) + [Run(begin, end, False)]
        at = end
    length = prompt_length + 1 + target
    runs += [Run(at, prompt_length + 1, True), Run(prompt_length + 1, length, False)]
    return Segment(length, tuple(runs), total or length)


def causal_mask(run: Run, device=None) -> torch.Tensor | None:
    """Bool [end-begin, end], True where a query may look; None where the run's queries see all of [0, end)."""
    if not run.causal or run.end - run.begin == 1:
        return None
    return torch.ones(run.end - run.begin, run.end, dtype=torch.bool, device=device).tril(run.begin)


class PackedAttention:
    """Attention processor: `attention_mask` carries the segments, which stock blocks hand through untouched.

    A tensor (or nothing) in its place means stock behaviour, so the same model object still serves stock pipelines.
    """

    def __init__(self):
        self.stock = OmniGenAttnProcessor2_0()

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, image_rotary_emb=None):
        if not isinstance(attention_mask, list):
            return self.stock(attn, hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb)
        q, k, v = (split_heads(to(hidden_states[0]), attn) for to in (attn.to_q, attn.to_k, attn.to_v))
        q, k = rotate(q, *image_rotary_emb), rotate(k, *image_rotary_emb)
        out = torch.cat([attend(*parts) for parts in per_segment(attention_mask, q, k, v)], 1)
        return attn.to_out[0](out.transpose(0, 1).flatten(1))[None]


def split_heads(x: torch.Tensor, attn) -> torch.Tensor:
    """[L, H*D] -> [H, L, D]."""
    return x.unflatten(-1, (-1, attn.to_q.out_features // attn.heads)).transpose(0, 1)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions, stock's halves convention. x [H,L,D]; cos, sin [L,D]."""
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin


def per_segment(segments, q, k, v):
    """Split the stream into samples."""
    lengths = [s.length for s in segments]
    return zip(segments, q.split(lengths, 1), k.split(lengths, 1), v.split(lengths, 1))


def attend(segment: Segment, q, k, v) -> torch.Tensor:
    """One sample's attention [H,S,D], run by run."""
    return torch.cat([_run(run, q, k, v) for run in segment.runs], 1)


def _run(run: Run, q, k, v) -> torch.Tensor:
    mask = causal_mask(run, q.device)
    q, k, v = q[None, :, run.begin : run.end], k[None, :, : run.end], v[None, :, : run.end]
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)[0]
