"""Pixels to latents and back."""

import numpy as np
import pytest
import torch

from madi.errors import MadiError
from madi.model.codec import Codec


def test_encoding_is_the_scaled_mean_and_decoding_rounds(tiny_weights):
    codec = tiny_weights().codec
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 48, 3), dtype=np.uint8)
    latents = codec.encode(pixels)
    assert latents.shape == (2, codec.channels, 4, 6) and codec.scale == 8
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255 * 2 - 1
    with torch.no_grad():
        assert torch.allclose(latents, codec.vae.encode(x).latent_dist.mean * 0.5, atol=1e-5)
        exact = codec.vae.decode(latents / 0.5).sample.clamp(-1, 1).permute(0, 2, 3, 1).numpy() * 127.5 + 127.5
    assert codec.decode(latents).shape == pixels.shape
    assert np.abs(codec.decode(latents) - exact).max() <= 0.5 + 1e-3


def test_sides_that_do_not_fit_are_named(tiny_weights):
    with pytest.raises(MadiError, match="30x32 px"):
        tiny_weights().codec.encode(np.zeros((1, 32, 30, 3), dtype=np.uint8))


def test_a_folder_without_a_vae_is_named(tmp_path):
    with pytest.raises(MadiError, match="vae: no config.json"):
        Codec.load(tmp_path)
