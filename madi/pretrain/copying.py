"""How the base starts: its first attention head looks, from each noise token, at the source token of the same place.

An editor copies most of its source. Left to chance, attention finds that only after thousands of steps; it is set here,
and all of it is trained on: the first velocity is (source - noisy image). Source and noise tokens carry the same place
vectors, so that matching them is linear.

Shapes: W width, D channels a head, P numbers a patch (P <= D), N places of the grid.
"""

from __future__ import annotations

import math

import torch

SHARPNESS = 5.0  # logits between the same place and one in its row or column
PATCH = 1.3  # length of an embedded patch against its P numbers' own


def factors(pairs: int) -> dict[str, list[float]]:
    """Rotary factors: the slower half of each head does not turn with the position in the sequence, so that two tokens
    match by what they hold, however much text lies between them."""
    held = [1.0] * (pairs // 2) + [1.0e4] * (pairs - pairs // 2)
    return {"short_factor": held, "long_factor": held}


@torch.no_grad()
def start(stock, side: int) -> None:
    """Set patch embeddings, words, head 0 of the first block and the output, for a grid of `side` x `side` places."""
    embed, attention = stock.patch_embedding, stock.layers[0].self_attn
    p, width = stock.config.patch_size, stock.config.hidden_size
    size = stock.in_channels * p * p
    match, kept = places(embed._cropped_pos_embed(side * p, side * p)[0])
    free = torch.linalg.qr(torch.cat([kept, torch.randn(width, width)], 1))[0][:, kept.shape[1] :]
    source, noise, copied = free[:, :size], free[:, size : 2 * size], free[:, 2 * size : 3 * size]
    embed.input_image_proj.weight.copy_((PATCH * source).view_as(embed.input_image_proj.weight))
    embed.output_image_proj.weight.copy_((PATCH * noise).view_as(embed.output_image_proj.weight))
    embed.input_image_proj.bias.zero_()
    embed.output_image_proj.bias.zero_()
    words = stock.embed_tokens.weight
    words.sub_(words @ kept @ kept.T)  # no word looks like a place
    depth = width // attention.heads
    still = [i for i in range(depth) if i % (depth // 2) >= depth // 4][: len(match)]
    scale = math.sqrt(SHARPNESS * math.sqrt(depth) / side)
    for to in (attention.to_q, attention.to_k):
        to.weight[:depth].mul_(0.2)
        to.weight[still] = scale * match[: len(still)]
    attention.to_v.weight[:size] = source.T / PATCH
    for block in stock.layers:  # nothing else speaks at first
        block.self_attn.to_out[0].weight.zero_()
        block.mlp.down_proj.weight.zero_()
    attention.to_out[0].weight[:, :size] = 2 * PATCH * copied  # half of the attention stays with the noise token itself
    answer = ((copied - noise) / PATCH).T.view(stock.in_channels, p, p, width)
    stock.proj_out.weight.copy_(answer.permute(1, 2, 0, 3).reshape(size, width))
    stock.proj_out.bias.zero_()
    stock.norm_out.linear.weight.mul_(0.1)
    stock.norm_out.linear.bias.zero_()


def places(vectors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of place vectors [N,W]: a map [K,W] to coordinates in which rows and columns are told apart evenly, the mean
    going to 0; and an orthonormal basis [W,K+1] of all that it looks at."""
    mean = vectors.mean(0, keepdim=True)
    left, size, _ = torch.linalg.svd(vectors - mean, full_matrices=False)
    count = int((size > 1e-3 * size[0]).sum())
    count = min(count, 2 * (math.isqrt(len(vectors)) - 1))
    wanted = torch.cat([left[:, :count] * math.sqrt(len(vectors)), torch.zeros(1, count)])
    seen = torch.cat([vectors - mean, mean])
    return (torch.linalg.pinv(seen, rtol=1e-4) @ wanted).T, torch.linalg.svd(seen.T, full_matrices=False)[0][
        :, : count + 1
    ]
