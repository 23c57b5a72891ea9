"""The small AutoencoderKL: three halvings (factor 8), trained on scenes of the base's share.

Shapes: B pictures, [B,3,128,128] in -1..1; C latent channels, latents [B,C,16,16].
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch

from madi.pretrain.loop import autocast, train
from madi.pretrain.settings import Settings, Steps, VaeSettings, checkpoint
from madi.scenes.edits import scene_of
from madi.scenes.render import render
from madi.scenes.splits import until
from madi.scenes.world import Scene

COUNTS = ((0, 0.04), (1, 0.16), (2, 0.2), (3, 0.2), (4, 0.2), (5, 0.2))  # fuller than edits' scenes: more to learn from

LOGVAR = -5.0  # of the posterior at the start
CONSTANT = 2.0  # in the channels that steady the norms


def build(settings: VaeSettings):
    """An untrained stock AutoencoderKL."""
    from diffusers import AutoencoderKL

    stages = len(settings.model["block_out_channels"])
    vae = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * stages,
        up_block_types=("UpDecoderBlock2D",) * stages,
        **settings.model,
    )
    start(vae)
    return vae


@torch.no_grad()
def start(vae) -> None:
    """Weights that begin as a picture's 8x8 px means, carried down and up again, so that every colour is there from the
    first step; left to themselves such nets find brightness first and the last axis of colour after thousands of steps.

    On the way channels 0-2 are RGB, 3-5 their negatives (silu(x) - silu(-x) = x) and 6, 7 are constants that keep the
    one-group norms from dividing contrast away. All other channels start at random, residual branches at zero.
    """
    encoder, decoder, channels = vae.encoder, vae.decoder, vae.config.latent_channels
    for name, module in vae.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="linear")
            module.weight.mul_(0.0 if name.endswith("conv2") else 0.5)
            module.bias.zero_()
    first = torch.zeros(3, 3)
    first[1, 1] = 1.0
    mean = torch.zeros(3, 3)
    mean[:2, :2] = 0.25
    smooth = torch.outer(*[torch.tensor([0.25, 0.5, 0.25])] * 2)
    carry(encoder.conv_in, first, 3)
    for block in encoder.down_blocks:
        for resnet in (r for r in block.resnets if r.conv_shortcut is not None):
            carry(resnet.conv_shortcut, torch.ones(1, 1), min(8, resnet.conv_shortcut.in_channels))
        for sampler in block.downsamplers or ():
            carry(sampler.conv, mean, 8)
    carry(decoder.conv_in, first, 3)
    for block in decoder.up_blocks:
        for resnet in (r for r in block.resnets if r.conv_shortcut is not None):
            carry(resnet.conv_shortcut, torch.ones(1, 1), 8)
        for sampler in block.upsamplers or ():
            carry(sampler.conv, smooth, 8)
    for out in (encoder.conv_out, decoder.conv_out):
        for colour in range(3):
            out.weight[colour] = 0.0
            out.weight[colour, colour, 1, 1], out.weight[colour, colour + 3, 1, 1] = 1.0, -1.0
    for quant in (vae.quant_conv, vae.post_quant_conv):
        quant.weight.copy_(torch.eye(len(quant.weight))[..., None, None])
    vae.quant_conv.weight[channels:] = 0.0
    vae.quant_conv.bias[channels:] = LOGVAR


def carry(conv, kernel: torch.Tensor, known: int) -> None:
    """Set rows 0-7 of a convolution whose input has RGB (`known` = 3) or all eight carried channels (8)."""
    conv.weight[:8] = 0.0
    for row in range(6):
        column, sign = (row, 1.0) if known == 8 else (row % 3, 1.0 if row < 3 else -1.0)
        conv.weight[row, column] = sign * kernel
    conv.bias[6], conv.bias[7] = CONSTANT, -CONSTANT


def scenes(n: int, split: str, seed: str) -> list[Scene]:
    """Scenes of a split, with few and many things."""
    rng = Random(seed)
    return [until(lambda: (scene_of(rng, COUNTS), None), split)[0] for _ in range(n)]


def pictures(n: int, split: str, seed: str, size: int) -> np.ndarray:
    """uint8 [n,size,size,3]: such scenes drawn."""
    return np.stack([render(scene, size) for scene in scenes(n, split, seed)])


def things(found: list[Scene], images: np.ndarray) -> torch.Tensor:
    """[n,1,size,size]: 1 where a picture shows a thing or its shadow, 0 where it shows the ground."""
    bare = np.stack([render(replace(scene, things=()), images.shape[1]) for scene in found])
    return torch.from_numpy((bare != images).any(3, keepdims=True)).permute(0, 3, 1, 2).float()


def signed(images: np.ndarray) -> torch.Tensor:
    """uint8 [B,H,W,3] to float32 [B,3,H,W] in -1..1."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def edges(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Mean |difference| of the two pictures' neighbour differences, across and down."""
    across = (x.diff(dim=-1) - y.diff(dim=-1)).abs().mean()
    return across + (x.diff(dim=-2) - y.diff(dim=-2)).abs().mean()


def objective(
    vae,
    images: torch.Tensor,
    noise: torch.Tensor,
    settings: VaeSettings,
    precision: str,
    floor: float = 0.0,
    weight: torch.Tensor | float = 1.0,
) -> tuple[torch.Tensor, dict]:
    """L1 + L2 + edges + KL a latent at latents mean + std * noise, std no less than `floor`; L1 and L2 of each pixel
    are taken `weight` times."""
    with autocast(precision):
        posterior = vae.encode(images).latent_dist
        latents = posterior.mean.float() + posterior.std.float().clamp_min(floor) * noise
        shown = vae.decode(latents).sample.float()
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    kl = 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).mean()
    l1, edge = (weight * (shown - images).abs()).mean(), edges(shown, images)
    square = (weight * (shown - images).pow(2)).mean()
    return l1 + square + settings.edges * edge + settings.kl * kl, {"l1": float(l1.detach()), "kl": float(kl.detach())}


def fit(settings: Settings, out: Path, state: Path) -> None:
    """Train encoder and decoder together, standardise latents, save the averaged weights under `out`."""
    own = settings.vae
    torch.manual_seed(own.train.seed)
    vae = build(own)
    train(
        vae, lambda step: drawn_loss(vae, step, own.train, settings), own.train, checkpoint(state, settings, "vae")
    ).swap()
    standardise(vae, settings)
    vae.save_pretrained(out, safe_serialization=True)


def fit_decoder(settings: Settings, out: Path, state: Path) -> dict:
    """Train the decoder of `out` further; latents stay as they are. Returns held-out quality."""
    from diffusers import AutoencoderKL

    own = settings.vae
    vae = AutoencoderKL.from_pretrained(out)
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)

    def loss_of(step: int):
        return drawn_loss(vae, step, own.decoder, settings, own.blur, own.things)

    train(vae, loss_of, own.decoder, checkpoint(state, settings, "decoder")).swap()
    vae.save_pretrained(out, safe_serialization=True)
    return quality(vae.eval(), settings)


def drawn_loss(
    vae, step: int, steps: Steps, settings: Settings, floor: float = 0.0, stress: float = 1.0
) -> tuple[torch.Tensor, dict]:
    """The loss on the scenes and noise of one step, drawn from the step number alone; things weigh `stress`."""
    found = scenes(steps.batch, "base", f"vae-{steps.seed}-{step}")
    drawn = np.stack([render(scene, settings.size_px) for scene in found])
    images, weight = signed(drawn), 1 + (stress - 1) * things(found, drawn)
    crop = settings.vae.crop_px if step < settings.vae.crops * steps.steps else settings.size_px
    top, left = (8 * Random(f"{axis}-{step}").randint(0, (settings.size_px - crop) // 8) for axis in "yx")
    images, weight = (x[:, :, top : top + crop, left : left + crop].contiguous() for x in (images, weight))
    shape = (len(images), settings.vae.model["latent_channels"], crop // 8, crop // 8)
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(steps.seed * 10**6 + step))
    return objective(vae, images, noise, settings.vae, steps.precision, floor, weight)


@torch.no_grad()
def standardise(vae, settings: Settings) -> None:
    """Give each latent channel mean 0 and standard deviation 1 over base scenes, inside the two 1x1 convolutions: a
    pipeline's scaling factor is one number for all channels, and here it is 1."""
    images = signed(pictures(256, "base", "scale", settings.size_px))
    latents = torch.cat([vae.encode(part).latent_dist.mean for part in images.split(32)])
    mean, std, channels = latents.mean((0, 2, 3)), latents.std((0, 2, 3)), latents.shape[1]
    quant, back = vae.quant_conv, vae.post_quant_conv
    quant.weight[:channels] /= std[:, None, None, None]
    quant.bias[:channels] = (quant.bias[:channels] - mean) / std
    quant.bias[channels:] -= 2 * std.log()  # the posterior's width follows
    back.bias += (back.weight[:, :, 0, 0] * mean).sum(1)
    back.weight *= std[None, :, None, None]
    vae.register_to_config(scaling_factor=1.0)


@torch.no_grad()
def quality(vae, settings: Settings) -> dict:
    """Mean absolute error (0..255) of round trips over validation scenes, all of the picture and its worst 5 %."""
    images = pictures(128, "validation", "quality", settings.size_px)
    posterior = [vae.encode(part).latent_dist for part in signed(images).split(32)]
    shown = torch.cat([vae.decode(p.mean).sample for p in posterior]).clamp(-1, 1).add(1).mul(127.5).round()
    error = (shown - torch.from_numpy(images).permute(0, 3, 1, 2).float()).abs()
    means = torch.cat([p.mean for p in posterior])
    return {
        "mae": float(error.mean()),
        "mae_worst_5_percent": float(error.flatten().sort().values[-error.numel() // 20 :].mean()),
        "latent_mean": means.mean((0, 2, 3)).tolist(),
        "latent_std": means.std((0, 2, 3)).tolist(),
        "posterior_std": float(torch.cat([p.std for p in posterior]).mean()),
    }
