"""The small ViT in DINO's place: timm's model, trained on pictures alone, with no caption and no word of what changed.

Shapes: B pictures, two views each [2B,3,128,128]; CLS tokens [2B,D] after the last norm.
Two self-supervised losses: a contrastive one (two views of a picture are one picture), which makes unlike scenes
unlike, and a reconstruction of the small picture from the CLS token alone, which keeps all of the scene in it, so that
similarity falls with how much of it changed.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F

from madi.pretrain.clip import KINDS, augmented
from madi.pretrain.loop import autocast, train
from madi.pretrain.settings import Settings, VitSettings, checkpoint
from madi.pretrain.vae import pictures, signed
from madi.scenes.edits import apply, draw, scene_of
from madi.scenes.render import region, render
from madi.scenes.splits import until
from madi.scenes.world import Scene

SMALL = 32  # side of the picture that is reconstructed


class Learner(torch.nn.Module):
    """The ViT, with a projection for the contrast and a painter for the reconstruction, both thrown away."""

    def __init__(self, vit: torch.nn.Module, width: int):
        super().__init__()
        self.vit = vit
        self.project = torch.nn.Sequential(
            torch.nn.Linear(width, 2 * width), torch.nn.GELU(), torch.nn.Linear(2 * width, 64)
        )
        self.paint = torch.nn.Sequential(
            torch.nn.Linear(width, 8 * 8 * 32),
            torch.nn.Unflatten(1, (32, 8, 8)),
            torch.nn.GELU(),
            torch.nn.ConvTranspose2d(32, 32, 2, 2),
            torch.nn.GELU(),
            torch.nn.ConvTranspose2d(32, 3, 2, 2),
        )


def build(settings: VitSettings) -> torch.nn.Module:
    """An untrained timm ViT without a classifier."""
    import timm

    return timm.create_model(settings.architecture, pretrained=False, **settings.model)


def views(images: np.ndarray, seed: int) -> torch.Tensor:
    """Two views a picture: noise and blur, a shift of up to 3 px and a small change of tone. [2B,3,H,W] in -1..1."""
    rng = np.random.default_rng(seed)
    made = signed(np.concatenate([augmented(list(images), 2 * seed), augmented(list(images), 2 * seed + 1)]))
    moved = [torch.roll(x, tuple(rng.integers(-3, 4, 2)), (1, 2)) for x in made]
    tone = torch.from_numpy(rng.uniform(0.92, 1.08, (len(moved), 3, 1, 1))).float()
    return (torch.stack(moved) * tone).clamp(-1, 1)


def contrast(projected: torch.Tensor, temperature: float) -> torch.Tensor:
    """NT-Xent over 2B rows of length 1: row k and row k + B are one picture."""
    n = len(projected) // 2
    logits = projected @ projected.T / temperature
    logits = logits.masked_fill(torch.eye(2 * n, dtype=torch.bool), -1e4)
    return F.cross_entropy(logits, torch.arange(2 * n).roll(n))


def fit(settings: Settings, out: Path, state: Path) -> dict:
    """Train, save the averaged weights as a timm folder under `out`; returns held-out quality."""
    own = settings.vit
    torch.manual_seed(own.train.seed)
    vit = build(own)
    learner = Learner(vit, vit.num_features)

    def loss_of(step: int) -> tuple[torch.Tensor, dict]:
        images = pictures(own.train.batch, "base", f"vit-{own.train.seed}-{step}", own.size_px)
        small = F.interpolate(signed(images), (SMALL, SMALL), mode="area").repeat(2, 1, 1, 1)
        with autocast(own.train.precision):
            tokens = F.normalize(vit.forward_features(views(images, step))[:, 0].float(), dim=-1) * 8
            projected, painted = learner.project(tokens).float(), learner.paint(tokens).float()
        match = contrast(F.normalize(projected, dim=-1), own.options["temperature"])
        drawn = F.mse_loss(painted, small)
        return match + own.options["paint"] * drawn, {"match": match.item(), "drawn": drawn.item()}

    train(learner, loss_of, own.train, checkpoint(state, settings, "vit")).swap()
    save(vit, own, out)
    return quality(out, settings)


def save(vit: torch.nn.Module, settings: VitSettings, out: Path) -> None:
    """Write the folder that `madi.score.dino` describes."""
    from timm.models import save_for_hf

    size = settings.size_px
    vit.pretrained_cfg = {"input_size": (3, size, size), "fixed_input_size": True, "interpolation": "bicubic"}
    vit.pretrained_cfg |= {"crop_pct": 1.0, "mean": (0.5,) * 3, "std": (0.5,) * 3, "num_classes": 0}
    vit.pretrained_cfg |= {
        "first_conv": "patch_embed.proj",
        "classifier": "head",
        "architecture": settings.architecture,
    }
    save_for_hf(vit, str(out), model_args=dict(settings.model), safe_serialization=True)


def altered(scene: Scene, count: int, rng: Random) -> Scene:
    """The scene after `count` random ops."""
    for _ in range(count):
        op = None
        while op is None:
            op = draw(scene, rng.choice(KINDS), rng)
        scene = apply(scene, op, rng)
    return scene


def share_changed(source: Scene, target: Scene, size: int) -> float:
    """Share of pixels that differ by more than 8 of 255 in any channel, within where the scenes differ."""
    difference = np.abs(render(source, size).astype(int) - render(target, size)).max(2) > 8
    return float((difference & (region(source, target, size) > 0)).mean())


@torch.no_grad()
def quality(folder: Path, settings: Settings, n: int = 600, split: str = "validation") -> dict:
    """Held-out: rank correlation of similarity with the share of the scene that 0 to 6 random ops changed, and without
    the pairs that nothing changed."""
    import timm
    from scipy.stats import spearmanr

    vit = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=0).eval()
    rng, size = Random(1), settings.vit.size_px
    sources = [until(lambda: (scene_of(rng), None), split)[0] for _ in range(n)]
    targets = [altered(scene, k % 7, rng) for k, scene in enumerate(sources)]

    def seen(scenes):
        images = signed(np.stack([render(scene, size) for scene in scenes]))
        return torch.cat([F.normalize(vit.forward_features(part)[:, 0], dim=-1) for part in images.split(64)])

    similarity = (seen(sources) * seen(targets)).sum(1).numpy()
    shares = [share_changed(s, t, size) for s, t in zip(sources, targets)]
    unlike = (seen(sources[:-1]) * seen(sources[1:])).sum(1).numpy()
    changed = [k for k, share in enumerate(shares) if share > 0]
    small = [k for k in changed if shares[k] < 0.3]

    def over(pairs) -> float:
        return float(spearmanr(similarity[list(pairs)], np.array(shares)[list(pairs)]).statistic)

    return {
        "spearman": over(range(n)),
        "spearman_changed": over(changed),
        "spearman_small_changes": over(small),
        "similarity_mean": float(similarity.mean()),
        "similarity_unlike": float(unlike.mean()),
    }
