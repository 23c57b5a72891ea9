"""What `madi bench model` measures on: one stock transformer of random weights that both sides use.

Small: 1,024 source and 1,024 noise tokens, for two CPU cores. Full: OmniGen's own size at 1024 px, for a GPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import OmniGenPipeline, OmniGenTransformer2DModel

from madi.model.codec import Codec
from madi.model.flops import ceiling
from madi.model.packed import Packed
from madi.model.prompt import Tokens
from madi.model.sampler import scheduler
from madi.omnigen import tokenizer

INSTRUCTION = "turn the small wooden boat on the lake into a bright red canoe and make the sky a calm evening sky"


@dataclass(frozen=True)
class Size:
    """hidden, layers, heads, inner: the transformer's. side: px of source and output. figure: the steps that a time is
    told for; steps: those that are run, the rest being so many medians more. pauses: of the sweep."""

    hidden: int
    layers: int
    heads: int
    inner: int
    side: int
    figure: int
    steps: int
    repeats: int
    dtype: torch.dtype
    pauses: tuple[int, ...] = (0, 8, 16, 32)


SIZES = {
    "tiny": Size(
        64, 2, 4, 96, 384, 4, 2, 1, torch.float32
    ),  # the edit longer than the negative prompt, else stock errs
    "small": Size(512, 8, 8, 1536, 512, 20, 3, 2, torch.float32),
    "full": Size(3072, 32, 32, 8192, 1024, 50, 5, 2, torch.bfloat16),
}


@dataclass(frozen=True)
class Subject:
    """One model, driven by us (`packed`) and by the stock pipeline; one source image uint8 [H,W,3]; the most
    operations a second that the device reaches in a matrix product."""

    size: Size
    packed: Packed
    pipeline: OmniGenPipeline
    tokens: Tokens
    codec: Codec
    source: np.ndarray
    device: torch.device
    ceiling: float

    def noise(self) -> torch.Tensor:
        side = self.size.side // self.codec.scale
        shape = (1, self.codec.channels, side, side)
        return torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(self.device)

    def latents(self) -> torch.Tensor:
        """The source as latents [C,h,w]."""
        return self.codec.encode(self.source[None])[0]


def subject(size: Size, folder: Path | str, device: torch.device) -> Subject:
    """Random weights of the size, with the tokenizer and the VAE of a weights folder."""
    codec = Codec.load(folder)
    with torch.no_grad():  # the stock pipeline samples the posterior: without spread it sees the source that we see
        codec.vae.quant_conv.weight[codec.channels :], codec.vae.quant_conv.bias[codec.channels :] = 0.0, -30.0
    codec.vae.to(device)
    tokens = Tokens(tokenizer.load(Path(folder) / "tokenizer"))
    stock = transformer(size, codec.channels, len(tokens.tokenizer)).eval()
    torch.nn.Module.to(stock, device, size.dtype)  # diffusers' own `to` warns of parts that are not there
    pipeline = OmniGenPipeline(stock, scheduler(), codec.vae, tokens.tokenizer)
    pipeline.set_progress_bar_config(disable=True)
    pixels = np.random.default_rng(0).integers(0, 256, (size.side, size.side, 3), dtype=np.uint8)
    return Subject(size, Packed(stock), pipeline, tokens, codec, pixels, device, ceiling(device, size.dtype))


def transformer(size: Size, channels: int, vocabulary: int) -> OmniGenTransformer2DModel:
    """Queries and keys are scaled up, so that attention is far from uniform and a wrong mask would show."""
    torch.manual_seed(0)
    half = size.hidden // size.heads // 2
    stock = OmniGenTransformer2DModel(
        in_channels=channels,
        hidden_size=size.hidden,
        num_attention_heads=size.heads,
        num_key_value_heads=size.heads,
        intermediate_size=size.inner,
        num_layers=size.layers,
        vocab_size=max(vocabulary, 1000),
        pad_token_id=0,
        rope_scaling={"short_factor": [1.0] * half, "long_factor": [2.0] * half},
    )
    with torch.no_grad():
        for block in stock.layers:
            block.self_attn.to_q.weight *= 3
            block.self_attn.to_k.weight *= 3
    return stock
