"""One picture of a person's own, edited at several pause counts.

Shapes: C latent channels, h x w latent pixels. Pictures are uint8 [H,W,3].
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from madi import images
from madi.errors import MadiError
from madi.photo import choice
from madi.progress import progress, say
from madi.shards import atomic

LONGEST = 1024  # px: OmniGen's own longest side of an edit


@dataclass(frozen=True)
class Settings:
    """How to sample. side: longest side of the edit in px, None for what the model reaches, at most 1024."""

    pauses: tuple[int, ...]
    steps: int
    guidance: float
    image_guidance: float
    seed: int
    side: int | None
    device: str = "cpu"
    dtype: str | None = None


def picture(path: Path) -> np.ndarray:
    """The photo, upright and RGB. Errors: MadiError, one line for whatever it cannot be."""
    if not path.is_file():
        raise MadiError("not a file" if path.exists() else "no such file", path, "a picture: PNG, JPEG or WebP")
    return images.decode(path.read_bytes(), path)


def fitted(photo: np.ndarray, side: int, step: int) -> np.ndarray:
    """The photo with no side longer than `side`, its shape kept, sides in multiples of `step` px; never enlarged but to
    the first multiple."""
    scale = min(1.0, side / max(photo.shape[:2]))
    height, width = (min(side // step * step, max(step, round(s * scale / step) * step)) for s in photo.shape[:2])
    return images.resize(photo, height, width)


def edits(folder: Path, photo: np.ndarray, instruction: str, how: Settings) -> tuple[np.ndarray, list[np.ndarray]]:
    """The source as the model sees it, and its edit at each pause count, all from the same noise.

    Errors: MadiError for a side that the model does not reach, and for latents that are not finite.
    """
    import torch

    from madi.model import checkpoint, prefix
    from madi.model.sampler import Sampler, noise_for

    weights = checkpoint.load(folder, how.device, how.dtype)
    codec, config = weights.codec, weights.packed.stock.config
    step, most = codec.scale * config.patch_size, config.pos_embed_max_size * codec.scale * config.patch_size
    if how.side is not None and not step <= how.side <= most:
        raise MadiError(f"{how.side} px", "--side", f"{step} to {most} px with {folder}")
    source = fitted(photo, how.side or min(LONGEST, most), step)
    if source.shape != photo.shape:
        say(f"the picture is edited at {source.shape[1]}x{source.shape[0]} px (of {photo.shape[1]}x{photo.shape[0]})")
    latents = codec.encode(source[None])[0]
    conditions = [weights.tokens.branches(instruction, [latents], count) for count in how.pauses]
    shape = codec.channels, source.shape[0] // codec.scale, source.shape[1] // codec.scale
    noise = noise_for(how.seed, images.sha256(source.tobytes()), shape).expand(len(conditions), *shape)
    sampler = Sampler(weights.packed, how.steps, how.guidance, how.image_guidance)
    same = [0] * len(conditions)
    cost = prefix.bytes_per_token(weights.packed)
    say(f"prompt: {len(conditions[0].conditional)} tokens and up, {cost:,} bytes each in the prefix cache")
    ticks = how.steps * len(sampler.batches(conditions, same, noise.shape))
    bar = progress(range(ticks), ticks, "step")
    next(bar, None)
    made = sampler(conditions, noise, same, lambda: next(bar, None))
    if not torch.isfinite(made).all():
        raise MadiError("the latents are not finite", folder, "weights that give numbers at this precision")
    return source, [codec.decode(one[None])[0] for one in made]


def write(
    out: Path, source, made, instruction: str, pauses, scores: dict[str, list[float]], chosen: int | None
) -> None:
    """`source.png`, `pause_<n>.png` each, `contact.jpg`, and `chosen.png` where one is chosen (else none is left)."""
    out.mkdir(parents=True, exist_ok=True)
    names = {"source.png": source} | {f"pause_{count}.png": image for count, image in zip(pauses, made)}
    files = {name: images.encode_png(image) for name, image in names.items()}
    heads = [f"pause {count}" + " (chosen)" * (number == chosen) for number, count in enumerate(pauses)]
    cell = max(128, min(384, max(source.shape[:2])))
    notes = "; ".join(f"{name} {' '.join(f'{value:.3f}' for value in values)}" for name, values in scores.items())
    label = instruction + (f" | {notes}" if notes else "")
    files["contact.jpg"] = images.contact_sheet([[source, *made]], [label], ["source", *heads], cell)
    (out / "chosen.png").unlink(missing_ok=True)
    if chosen is not None:
        files["chosen.png"] = files[f"pause_{pauses[chosen]}.png"]
    for name, data in files.items():
        with atomic(out / name) as partial:
            partial.write_bytes(data)


def run(photo: Path, instruction: str, folder: Path, out: Path, how: Settings, asked, captions, clip, dino) -> None:
    """The whole verb; `asked` is `--choose` or None. Bad input is refused before any weights are loaded."""
    if not instruction.strip():
        raise MadiError("an empty instruction", "command line", "what to change, in words")
    if out.exists() and not out.is_dir():
        raise MadiError("a file", out, "a folder, new or not", "another --out")
    rule = choice.wish(asked, how.pauses, captions) if asked else None
    for name, model in (("clip_dir", clip), ("dino", dino)):
        if rule and name in rule.metrics and not model.is_dir():
            raise MadiError("no such folder", model, f"the model of {name}", f"--{name.removesuffix('_dir')} DIR")
    source, made = edits(folder, picture(photo), instruction, how)
    scores, chosen = {}, None
    write(out, source, made, instruction, how.pauses, scores, chosen)  # before scoring, which may still refuse
    if rule is not None:
        scores = choice.scored(source, made, captions, rule.metrics, clip, dino)
        chosen, why = choice.choose(rule, how.pauses, scores)
        write(out, source, made, instruction, how.pauses, scores, chosen)
    for name, values in scores.items():
        each = ", ".join(f"pause {count}: {value:.3f}" for count, value in zip(how.pauses, values))
        print(f"{name} ({choice.METRICS[name]}): {each}")
    if rule is not None:
        print(f"chosen: {'none' if chosen is None else f'pause {how.pauses[chosen]}'}, {why}")
    print(f"written: {out}/contact.jpg, {', '.join(f'pause_{count}.png' for count in how.pauses)}")


def set_threads(count: int) -> None:
    """Threads of torch."""
    import torch

    torch.set_num_threads(count)
