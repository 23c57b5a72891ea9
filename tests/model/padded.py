"""The stock transformer on prompts of ours, its inputs made by its own collator; and with its row fault cured."""

import torch
from diffusers.pipelines.omnigen.processor_omnigen import OmniGenCollator


def velocity(stock, x, t, prompts):
    """Velocity [B,C,h,w] of left-padded rows in the order given, as stock has it: with row 0's rotary positions."""
    collator = OmniGenCollator(hidden_size=stock.config.hidden_size)
    made = [
        {
            "input_ids": prompt.ids,
            "pixel_values": [torch.zeros(1)] * len(prompt.images) or None,
            "image_sizes": [list(slot) for slot in prompt.slots],
        }
        for prompt in prompts
    ]
    sizes = [[8 * x.shape[-2], 8 * x.shape[-1]]] * len(prompts)
    ids, places, mask, _, _, slots = collator.process_mllm_input(made, sizes)
    images = [image[None].to(x.dtype) for prompt in prompts for image in prompt.images]
    return stock(x, t, ids, images, slots, mask.to(x.dtype), places, return_dict=False)[0]


class RowByRow:
    """Stock attention, but each row is turned by its own positions (cos, sin [B,S,D]) and in its own precision: stock
    turns in float32 whatever the type."""

    def __call__(self, attn, hidden_states, encoder_hidden_states, attention_mask=None, image_rotary_emb=None):
        q, k, v = (to(hidden_states).unflatten(-1, (attn.heads, -1)) for to in (attn.to_q, attn.to_k, attn.to_v))
        cos, sin = (of[:, :, None].to(q.dtype) for of in image_rotary_emb)
        q, k = (x * cos + torch.cat([-x.chunk(2, -1)[1], x.chunk(2, -1)[0]], -1) * sin for x in (q, k))
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))
        out = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=attention_mask)
        return attn.to_out[0](out.transpose(1, 2).flatten(2))


def mended(stock):
    """The stock model with its row fault cured: every row has its own rotary positions and factors."""
    for block in stock.layers:
        block.self_attn.set_processor(RowByRow())
    rope = type(stock.rope).forward

    def by_row(hidden, places):
        rows = [rope(stock.rope, hidden, row[None]) for row in places]
        return torch.stack([cos for cos, _ in rows]), torch.stack([sin for _, sin in rows])

    stock.rope.forward = by_row
    return stock
