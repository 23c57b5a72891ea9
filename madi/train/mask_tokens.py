"""The mask token of Eq. 4: one of a learnable pool, through an MLP of the time embedder's shape, or zero.

Shapes: B samples, T noise tokens a sample, N tokens in the pool, w their width, W hidden width. Used in training alone.
"""

from __future__ import annotations

import torch

from madi.settings import Magd


class MaskPool(torch.nn.Module):
    """Embedding(N, w) -> Linear(w, W) -> SiLU -> Linear(W, W): the embedding starts as N(0, 1), torch's default, the
    layers as the time embedder's do (std 0.02).

    norm: the mean length that the tokens start with, by scaling the last layer; None leaves it as it comes out, which
    is some 30 times shorter than a patch embedding, and close to the token 0.
    """

    def __init__(self, size: int, width: int, hidden: int, seed: int = 0, norm: float | None = None):
        super().__init__()
        self.pool = torch.nn.Embedding(size, width)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(width, hidden), torch.nn.SiLU(), torch.nn.Linear(hidden, hidden))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            self.pool.weight.normal_(generator=generator)
            for layer in (self.mlp[0], self.mlp[2]):
                layer.weight.normal_(std=0.02, generator=generator)
                layer.bias.zero_()
            if norm is not None:
                self.mlp[2].weight *= norm / self.mlp(self.pool.weight).norm(dim=-1).mean()

    def forward(self, place: torch.Tensor) -> torch.Tensor:
        """Mask tokens [..., W] at places in the pool [...], each in [0, 1)."""
        return self.mlp(self.pool((place * self.pool.num_embeddings).long()))


class ZeroToken(torch.nn.Module):
    """The token 0, before positions are added; nothing to learn."""

    def __init__(self, hidden: int):
        super().__init__()
        self.hidden = hidden

    def forward(self, place: torch.Tensor) -> torch.Tensor:
        """Zeros [..., W]."""
        return torch.zeros(*place.shape, self.hidden, device=place.device)


def build(magd: Magd, embedding: torch.nn.Conv2d, seed: int) -> torch.nn.Module:
    """The mask tokens a run asks for. Zero latents' token is the patch embedding's own: `ZeroToken` stands in here.

    embedding: of noise patches, weight [W,C,p,p]. A patch of unit noise comes out of it with length |weight|, which is
    where the pool starts with `pool_init: patch`.
    """
    hidden = embedding.weight.shape[0]
    if magd.token != "pool":
        return ZeroToken(hidden)
    norm = float(embedding.weight.detach().float().norm()) if magd.pool_init == "patch" else None
    return MaskPool(magd.pool_size, magd.pool_width, hidden, seed, norm)
