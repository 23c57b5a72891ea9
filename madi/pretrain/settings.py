"""What `config/pretrain.yaml` may say, and the small tools every trainer shares: batches of scenes, EMA, learning rate.

Imports no torch at the top: verbs read the settings before they import anything heavy.
"""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from madi import configfile
from madi.values import Count, Natural, NonNegative, Positive, Share


class Strict(BaseModel):
    """Frozen, and a key that is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Steps(Strict):
    """What every training says. `precision` is of the matrix products alone: weights and optimiser are float32.
    `muon`: learning rate of Muon for the matrices of a transformer's blocks; without it AdamW turns them too.
    `decay_steps`: the learning rate is constant until the last `decay_steps`, then falls in a line; without it, it
    follows a cosine."""

    seed: Natural
    steps: Count
    batch: Count
    learning_rate: Positive
    muon: Positive | None = None
    warmup_steps: Natural
    decay_steps: Count | None = None
    weight_decay: NonNegative
    gradient_clip: Positive
    ema: Share
    precision: Literal["bf16", "fp32"] = "bf16"
    save_every: Count = 500


class TokenizerSettings(Strict):
    """`scenes`: items of each kind whose words the tokenizer is trained on."""

    seed: int
    vocabulary: int
    scenes: int


class VaeSettings(Strict):
    """Channels of the four stages; the loss, L1 + L2 + `edges` * L1 of neighbours' differences + `kl` * KL a latent.

    `train` is of the whole, its first `crops` of all steps on corners of `crop_px` px; `decoder` is of the decoder
    alone afterwards: the base can begin as soon as latents are fixed. The decoder then sees latents blurred by noise of
    `blur` (1: the latents' own spread), as a sampler's are, and pixels of things weigh `things` times those of the
    ground: a small cross or a letter must not be smoothed away.
    """

    model: dict
    train: Steps
    decoder: Steps
    edges: float
    kl: float
    blur: float
    things: float
    crop_px: int
    crops: float


class BaseSettings(Strict):
    """The transformer, and the mix it is trained on (kind: weight). `block` items are drawn and encoded at a time and
    used `reuse` times, in counts[k] batches of batches[k] samples of at most lengths[k] tokens. `loose`, `plans`,
    `drop_all`, `drop_text`: shares. Latents that differ by `changed_above` from the source's weigh `changed_weight`.
    `reader`: weight of the readers' loss; `time_mean`: centre of the logit-normal times."""

    model: dict
    train: Steps
    mix: dict[str, float]
    block: Count
    reuse: Count
    lengths: tuple[int, ...]
    batches: tuple[int, ...]
    counts: tuple[int, ...]
    loose: Share
    plans: Share
    drop_all: Share
    drop_text: Share
    changed_weight: float
    changed_above: float
    reader: float
    time_mean: float
    look_every: int
    held_out: int
    sample: dict


class ClipSettings(Strict):
    """open_clip's `model_cfg`, the picture's side, tokens a caption, and the weight of the reader's loss."""

    model: dict
    size_px: int
    context: int
    reader: float
    train: Steps


class VitSettings(Strict):
    """timm's architecture and arguments; options: the contrast's temperature, the painter's weight."""

    architecture: str
    model: dict
    size_px: int
    options: dict[str, float]
    train: Steps


class Settings(Strict):
    """The whole file."""

    size_px: int
    threads: int
    tokenizer: TokenizerSettings
    vae: VaeSettings
    base: BaseSettings
    clip: ClipSettings
    vit: VitSettings


def read(path: str | Path) -> Settings:
    """The settings in a YAML file; MadiError with one line for a broken or wrong one."""
    source = configfile.read(path)
    try:
        return Settings.model_validate(source.content)
    except ValidationError as bad:
        raise configfile.explain(bad, Settings, [source]) from None


NEEDS = {"base": ("tokenizer", "vae")}  # parts whose outputs a part reads
DECODER = {"decoder", "blur", "things"}  # settings of the VAE that change its decoder and no latents


def depends_on(settings: Settings, what: str) -> dict:
    """All settings that a part's training depends on, those of the parts that it reads included."""
    shared = {"size_px": settings.size_px, "threads": settings.threads}
    names = (what, *NEEDS.get(what, ()))
    return shared | {name: getattr(settings, name).model_dump(mode="json") for name in names}


def depends_on_text(settings: Settings, what: str) -> str:
    """The same as JSON: what Snakemake compares."""
    return _text(depends_on(settings, what))


def _text(own: dict) -> str:
    return json.dumps(own, sort_keys=True)


def checkpoint(state: Path, settings: Settings, what: str) -> Path:
    """Where a training (a part's, or "decoder") keeps its state: a folder named by what it depends on, so that with
    other settings it starts anew, and never goes on with weights that those did not make."""
    own = depends_on(settings, "vae" if what == "decoder" else what)
    if what != "decoder" and "vae" in own:
        own["vae"] = {key: value for key, value in own["vae"].items() if key not in DECODER}
    train = own[what]["train"] if what in own and "train" in own[what] else {}
    if train.get("decay_steps"):  # a longer training goes on from the state of a shorter one
        own[what]["train"] = {key: value for key, value in train.items() if key not in ("steps", "decay_steps")}
    return state / f"{what}-{hashlib.sha256(_text(own).encode()).hexdigest()[:12]}"


def rate(step: int, steps: Steps) -> float:
    """Share of the learning rate, 0..1: linear warm-up, then a cosine to a hundredth; with `decay_steps`, constant, and
    a line to a hundredth over those."""
    if step < steps.warmup_steps:
        return (step + 1) / steps.warmup_steps
    if steps.decay_steps:
        return 0.01 + 0.99 * min(1.0, (steps.steps - step) / steps.decay_steps)
    done = (step - steps.warmup_steps) / max(1, steps.steps - steps.warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
