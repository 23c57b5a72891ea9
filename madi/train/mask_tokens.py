"""The mask token of Eq. 4: one of a learnable pool, through an MLP of the time embedder's shape, or zero.

Shapes: B samples, T noise tokens a sample, N tokens in the pool, w their width, W hidden width. Used in training alone.
"""

from __future__ import annotations

import torch

from madi.settings import Magd


class MaskPool(torch.nn.Module):
    """Embedding(N, w) -> Linear(w, W) -> SiLU -> Linear(W, W), initialised as the time embedder is (std 0.02)."""

    def __init__(self, size: int, width: int, hidden: int, seed: int = 0):
        super().__init__()
        self.pool = torch.nn.Embedding(size, width)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(width, hidden), torch.nn.SiLU(), torch.nn.Linear(hidden, hidden))
        generator = torch.Generator().manual_seed(seed)
        for parameter in self.parameters():
            with torch.no_grad():
                parameter.normal_(std=0.02, generator=generator) if parameter.ndim > 1 else parameter.zero_()

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


def build(magd: Magd, hidden: int, seed: int) -> torch.nn.Module:
    """The mask tokens a run asks for. Zero latents' token is the patch embedding's own: `ZeroToken` stands in here."""
    return MaskPool(magd.pool_size, magd.pool_width, hidden, seed) if magd.token == "pool" else ZeroToken(hidden)
