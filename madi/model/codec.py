"""Pixels to latents and back, by a stock AutoencoderKL.

Shapes: N images, H x W px, C latent channels, h = H/scale, w = W/scale.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL

from madi.errors import MadiError
from madi.model import stored


class Codec:
    """`channels` C and `scale` (px a latent pixel, each way) are the VAE's own."""

    def __init__(self, vae: AutoencoderKL):
        self.vae = vae.requires_grad_(False).eval()
        self.channels: int = vae.config.latent_channels
        self.scale = 2 ** (len(vae.config.block_out_channels) - 1)

    @classmethod
    def load(cls, folder: Path | str) -> Codec:
        """The VAE of a weights folder, or in a folder of its own, in float32.

        Errors: MadiError if it is missing or broken.
        """
        folder = Path(folder)
        own = not (folder / "vae").is_dir() and (folder / f"{stored.DIFFUSERS}.safetensors").is_file()
        return cls(stored.read(folder if own else folder / "vae", AutoencoderKL, torch.float32))

    def encode(self, pixels: np.ndarray) -> torch.Tensor:
        """uint8 [N,H,W,3] to latents [N,C,h,w]: the posterior's mean, scaled as the transformer sees it."""
        return self.moments(pixels)[:, 0]

    @torch.no_grad()
    def moments(self, pixels: np.ndarray) -> torch.Tensor:
        """uint8 [N,H,W,3] to [N,2,C,h,w]: the posterior's mean and standard deviation, scaled likewise."""
        if pixels.shape[1] % self.scale or pixels.shape[2] % self.scale:
            raise MadiError(f"an image of {pixels.shape[2]}x{pixels.shape[1]} px", expected=f"sides in {self.scale} px")
        x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2)
        x = x.to(self.vae.device, self.vae.dtype) / 127.5 - 1
        found = self.vae.encode(x).latent_dist
        return torch.stack([found.mean, found.std], 1) * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: torch.Tensor) -> np.ndarray:
        """Latents [N,C,h,w] to uint8 [N,H,W,3], rounded to the nearest (truncating darkens by half a level)."""
        latents = latents.to(self.vae.device, self.vae.dtype) / self.vae.config.scaling_factor
        pixels = self.vae.decode(latents, return_dict=False)[0].float()
        pixels = ((pixels / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy()
