"""The stock transformer on prompts of ours, its inputs made by its own collator: the alternatives that are measured.

Shapes: B rows, C latent channels, h x w latent pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import OmniGenTransformer2DModel
from diffusers.pipelines.omnigen.processor_omnigen import OmniGenCollator

from madi.model.prompt import Prompt


def inputs(stock: OmniGenTransformer2DModel, prompts: Sequence[Prompt], shape: torch.Size) -> dict:
    """Arguments of the stock forward for left-padded rows, in the order given, but for latents and times."""
    made = [
        {
            "input_ids": prompt.ids,
            "pixel_values": [torch.zeros(1)] * len(prompt.images) or None,
            "image_sizes": [list(slot) for slot in prompt.slots],
        }
        for prompt in prompts
    ]
    collator = OmniGenCollator(hidden_size=stock.config.hidden_size)
    sizes = [[8 * shape[-2], 8 * shape[-1]]] * len(prompts)
    ids, places, mask, _, _, slots = collator.process_mllm_input(made, sizes)
    images = [image[None].to(stock.device, stock.dtype) for prompt in prompts for image in prompt.images]
    found = {"input_ids": ids, "position_ids": places, "attention_mask": mask.to(stock.dtype)}
    found = {name: value.to(stock.device) for name, value in found.items()}
    return found | {"input_img_latents": images, "input_image_sizes": slots}


def velocity(stock: OmniGenTransformer2DModel, x: torch.Tensor, t: torch.Tensor, prompts: Sequence[Prompt]):
    """Velocity [B,C,h,w] of padded rows, as stock has it: with row 0's rotary positions for all."""
    return stock(x, t, **inputs(stock, prompts, x.shape), return_dict=False)[0]
