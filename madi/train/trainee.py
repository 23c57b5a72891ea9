"""What is trained: the transformer, its mask tokens, and how a batch's loss is made of them.

Shapes: B samples, C latent channels, h x w latent pixels, T noise tokens a sample, W hidden width.
"""

from __future__ import annotations

import math
from functools import partial

import torch

from madi.model import lora
from madi.model.packed import Packed
from madi.settings import Run
from madi.train import magd, mask_tokens
from madi.train.batches import Batch


class Trainee(torch.nn.Module):
    """The transformer in float32 and, in MAgD runs, the mask tokens."""

    def __init__(self, packed: Packed, run: Run):
        super().__init__()
        torch.nn.Module.to(packed.stock, torch.float32)  # master weights: a step of 1e-4 vanishes in bfloat16
        self.packed, self.magd, self.half = packed, run.magd, run.precision == "bfloat16"
        if run.lora:
            lora.inject(packed.stock, run.lora.rank, run.lora.alpha, run.lora.targets, run.seed)
        if run.checkpoint_blocks:
            packed.stock.enable_gradient_checkpointing()
        if run.compile_blocks:
            compile_blocks(packed)
        self.mask_tokens = None
        if run.magd:
            embedding = packed.stock.patch_embedding.output_image_proj
            self.mask_tokens = mask_tokens.build(run.magd, embedding, run.seed)
        self.mask_norms = None  # [B], mean length of the last batch's mask tokens

    def forward(self, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Each sample's weighted loss and plain error, both [B]; computed in bfloat16 where the run says so."""
        x = magd.interpolate(batch.image, batch.noise, batch.t)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=self.half):
            corrupt = None if self.magd is None else partial(magd.corrupt, mask=batch.mask, token=self.shown(batch))
            predicted = self.packed(x, batch.t, batch.prompts, corrupt) + self._unused(batch)
        target = magd.velocity(batch.image, batch.noise)
        loss = magd.squared_error(predicted.to(target.dtype), target, batch.weight)
        return loss, magd.squared_error(predicted.detach().to(target.dtype), target)

    def shown(self, batch: Batch) -> torch.Tensor:
        """What stands at masked places, [B,1,W] or [B,T,W], by the run's reading of Eq. 4."""
        embed = self.packed.stock.patch_embedding
        token = self.mask_tokens(batch.place)
        self.mask_norms = token.detach().double().norm(dim=-1).mean(1)
        if self.magd.token == "zero_latent":
            token = token + embed.output_image_proj.bias
        if self.magd.order == "mask_first":
            token = magd.masked_then_noised(token, embed._patch_embeddings(batch.noise, is_input_image=False), batch.t)
        return token

    def _unused(self, batch: Batch) -> torch.Tensor | float:
        """0, made of the weights that a batch without images leaves out: processes must agree on who has a gradient."""
        if any(prompt.images for prompt in batch.prompts):
            return 0.0
        return sum(p.sum() * 0 for p in self.packed.stock.patch_embedding.input_image_proj.parameters())


def compile_blocks(packed: Packed) -> None:
    """Compile each block's feed-forward and norms; attention stays as it is, since its calls change with each batch."""
    for block in packed.stock.layers:
        for part in (block.mlp, block.input_layernorm, block.post_attention_layernorm):
            part.compile(dynamic=True)


def learning_rate(step: int, run: Run) -> float:
    """Linear warm-up to the full rate, then a cosine to 0 at the last step."""
    if step < run.warmup_steps:
        return run.learning_rate * (step + 1) / run.warmup_steps
    done = (step - run.warmup_steps + 1) / (run.steps - run.warmup_steps)
    return run.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_of(trainee: torch.nn.Module, run: Run) -> torch.optim.Optimizer:
    """AdamW; only matrices decay, neither norms and biases nor embeddings (an unused row stays as it is). A group's
    `scale` is its learning rate as a share of the run's: the mask tokens may have their own."""
    own = run.magd.pool_learning_rate / run.learning_rate if run.magd and run.magd.pool_learning_rate else 1.0
    groups: dict[tuple[bool, bool], list] = {}
    for name, parameter in trainee.named_parameters():
        if parameter.requires_grad:
            decays = parameter.ndim > 1 and "embed_tokens" not in name and "pool" not in name
            groups.setdefault((decays, own != 1.0 and "mask_tokens" in name), []).append(parameter)
    made = [
        {"params": parameters, "weight_decay": run.weight_decay * decays, "scale": own if masks else 1.0}
        for (decays, masks), parameters in groups.items()
    ]
    return torch.optim.AdamW(made, lr=run.learning_rate, fused=True)
