"""A stock OmniGen transformer driven over one packed stream: no padding, no dense mask, positions per sample.

Shapes: B samples, C latent channels, h x w latent pixels, p patch size, T = (h/p)*(w/p) noise tokens a sample,
P prompt tokens (its own number for each sample), L = sum of (P + 1 + T) tokens in the stream, W hidden width.
Time t is OmniGen's: 0 noise, 1 image.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from diffusers import OmniGenTransformer2DModel

from madi.model.attention import PackedAttention, Segment, calls
from madi.model.prompt import Prompt
from madi.model.runs import runs


class Packed(torch.nn.Module):
    """Packed entry points around a stock `OmniGenTransformer2DModel` (`.stock`), whose parameters stay its own.

    Loading and saving are the stock object's methods, so names and config are stock by construction, and stock
    `OmniGenPipeline` may use the same object. Only its attention processors are replaced.
    """

    def __init__(self, stock: OmniGenTransformer2DModel):
        super().__init__()
        self.stock = stock
        for number, block in enumerate(stock.layers):
            block.self_attn.set_processor(PackedAttention(number))

    def forward(
        self,
        x: torch.Tensor,
        t: torch.Tensor,
        prompts: list[Prompt],
        corrupt: Callable[[torch.Tensor], torch.Tensor] | None = None,
        totals: list[int] | None = None,
    ) -> torch.Tensor:
        """Velocity [B,C,h,w] at noisy latents `x` [B,C,h,w] and times `t` [B].

        corrupt: what training does to patch embeddings [B,T,W] (Eq. 4). totals: sequence length that picks each
        sample's rotary factors, by default its own, so that a sample never depends on its batch mates.
        """
        tail, clock = self.tail(x, t, corrupt)
        segments = segments_of(prompts, tail.shape[1] - 1, totals, x.device)
        ends = torch.tensor([s.length for s in segments], device=x.device).cumsum(0)
        last = ends[:, None] - tail.shape[1] + 1 + torch.arange(tail.shape[1] - 1, device=x.device)
        return self.velocity(self.trunk(self.stream(prompts, tail), segments)[last], clock, x.shape)

    def tail(self, x: torch.Tensor, t: torch.Tensor, corrupt=None) -> tuple[torch.Tensor, torch.Tensor]:
        """What follows each prompt, the time token and the noise tokens [B,1+T,W]; what `velocity` needs of `t`."""
        noise = self.noise_tokens(x, corrupt)
        time = self.stock.time_proj(t).type_as(noise)
        return torch.cat([self.stock.time_token(time)[:, None], noise], 1), self.stock.t_embedder(time)

    def noise_tokens(self, x: torch.Tensor, corrupt=None) -> torch.Tensor:
        """Noise tokens [B,T,W]: patch embeddings, corrupted before positions are added so that these stay known."""
        embed = self.stock.patch_embedding
        patches = embed._patch_embeddings(x, is_input_image=False)
        if corrupt is not None:
            patches = corrupt(patches)
        return patches + embed._cropped_pos_embed(*x.shape[-2:])

    def stream(self, prompts: list[Prompt], tail: torch.Tensor) -> torch.Tensor:
        """All samples' tokens one after another [L,W]: each prompt, then its row of `tail` [B,1+T,W]."""
        return torch.cat([part for pair in zip(self.words(prompts), tail, strict=True) for part in pair])

    def words(self, prompts: list[Prompt]) -> list[torch.Tensor]:
        """Each prompt's tokens [P,W]: words, and source images in their slots."""
        ids = torch.tensor([i for prompt in prompts for i in prompt.ids], device=self.stock.device)
        return self._with_images(self.stock.embed_tokens(ids), prompts).split([len(prompt) for prompt in prompts])

    def _with_images(self, words: torch.Tensor, prompts: list[Prompt]) -> torch.Tensor:
        """Put source patch embeddings into their slots; images of one shape are embedded in one call."""
        by_shape: dict[torch.Size, tuple[list, list]] = {}
        start = 0
        for prompt in prompts:
            for (begin, end), image in zip(prompt.slots, prompt.images):
                places, images = by_shape.setdefault(image.shape, ([], []))
                places.append(torch.arange(start + begin, start + end, device=words.device))
                images.append(image)
            start += len(prompt)
        for places, images in by_shape.values():
            batch = torch.stack(images).to(words.device, words.dtype)
            patches = self.stock.patch_embedding(batch, is_input_image=True)
            words = words.index_copy(0, torch.cat(places), patches.flatten(0, 1).to(words.dtype))
        return words

    def trunk(self, stream: torch.Tensor, segments: list[Segment], rotary=None) -> torch.Tensor:
        """All blocks and the last norm over the stream [L,W]. rotary: the segments' own, if made."""
        rotary, h = rotary or self.rotary(segments, stream.device), stream[None]
        for block in self.stock.layers:  # block(...) itself, so that checkpointing, LoRA and FSDP hooks fire
            if torch.is_grad_enabled() and self.stock.gradient_checkpointing:
                h = self.stock._gradient_checkpointing_func(block, h, segments, rotary)
            else:
                h = block(h, segments, rotary)
        return self.stock.norm(h)[0]

    def rotary(self, segments: list[Segment], device) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin [L,1,D] at every token's position in its own sample, float32 as in stock, for `rotate`."""
        rope = self.stock.rope
        place = torch.cat([torch.arange(s.length, device=device) + s.start + s.shift for s in segments]).float()
        far = torch.tensor([self.far(s.total) for s in segments], device=device)
        far = far.repeat_interleave(torch.tensor([s.length for s in segments], device=device))
        short, long = (self._inverse(factor, device) for factor in (rope.short_factor, rope.long_factor))
        angle = (place[:, None] * torch.where(far[:, None], long, short))[:, None]
        cos, sin = angle.cos() * self._gain(), angle.sin() * self._gain()
        return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)

    def far(self, total: int) -> bool:
        """Whether a sequence of `total` tokens takes the long rotary factors."""
        return total > self.stock.rope.original_max_position_embeddings

    def _inverse(self, factor: list[float], device) -> torch.Tensor:
        rope = self.stock.rope
        steps = torch.arange(0, rope.dim, 2, device=device).float() / rope.dim
        return 1.0 / (torch.tensor(factor, device=device) * rope.base**steps)

    def _gain(self) -> float:
        rope = self.stock.rope
        scale = rope.max_position_embeddings / rope.original_max_position_embeddings
        return 1.0 if scale <= 1 else math.sqrt(1 + math.log(scale) / math.log(rope.original_max_position_embeddings))

    def velocity(self, tokens: torch.Tensor, clock: torch.Tensor, shape: torch.Size) -> torch.Tensor:
        """Noise tokens [B,T,W] to latents [B,C,h,w]."""
        p = self.stock.config.patch_size
        patches = self.stock.proj_out(self.stock.norm_out(tokens, temb=clock)).unflatten(-1, (p, p, -1))
        patches = patches.unflatten(1, (shape[-2] // p, shape[-1] // p))
        return patches.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def segments_of(prompts: list[Prompt], target: int, totals: list[int] | None = None, device=None) -> list[Segment]:
    """Who sees whom, sample by sample. totals as in `Packed.forward`."""
    lengths = [len(prompt) + 1 + target for prompt in prompts]
    covers = [calls(runs(len(prompt), prompt.slots, target), device) for prompt in prompts]
    return [Segment(*parts) for parts in zip(lengths, covers, totals or lengths)]
