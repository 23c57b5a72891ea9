"""One picture of a person's own, edited at several pause counts.

Shapes: C latent channels, h x w latent pixels. Pictures are uint8 [H,W,3].
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from madi import images
from madi.errors import MadiError
from madi.model.prompt import IMAGE_TAG
from madi.omnigen.sizes import cropped, shrunk
from madi.options import folder_for, shipped
from madi.photo import choice
from madi.progress import progress, say
from madi.scenes.parse import read
from madi.score import scorers
from madi.shards import atomic

MADE = re.compile(r"pause_\d+\.png|chosen\.png")
WRITTEN = re.compile(MADE.pattern + r"|source\.png|contact\.jpg")
LONGEST = 1024  # px: OmniGen's own longest side of an edit
SMALL_WORLD = 0.05  # residual of the parser up to which a picture is of the small world; photographs are above 0.1


@dataclass(frozen=True)
class Settings:
    """How to sample. side: longest side of the edit in px, None for what the model reaches, at most 1024.

    vae: a folder with the VAE, for weights without one.
    """

    pauses: tuple[int, ...]
    steps: int
    guidance: float
    image_guidance: float
    seed: int
    side: int | None
    device: str = "cpu"
    dtype: str | None = None
    vae: Path | None = None


def picture(path: Path) -> np.ndarray:
    """The photo, upright and RGB. Errors: MadiError, one line for whatever it cannot be."""
    if not path.is_file():
        raise MadiError("not a file" if path.exists() else "no such file", path, "a picture: PNG, JPEG or WebP")
    return images.decode(path.read_bytes(), path)


def edits(folder: Path, photo: np.ndarray, instruction: str, how: Settings) -> tuple[np.ndarray, list[np.ndarray]]:
    """The source as the model sees it, and its edit at each pause count, all from the same noise.

    Errors: MadiError for a side that the model does not reach, and for latents that are not finite.
    """
    import torch

    from madi.model import checkpoint, prefix
    from madi.model.sampler import Sampler, noise_for

    weights = checkpoint.load(folder, how.device, how.dtype, how.vae)
    codec, config = weights.codec, weights.packed.stock.config
    step, most = codec.scale * config.patch_size, config.pos_embed_max_size * codec.scale * config.patch_size
    if how.side is not None and not step <= how.side <= most:
        raise MadiError(f"{how.side} px", "--side", f"{step} to {most} px with {folder}")
    side = how.side or min(LONGEST, most)
    source = np.ascontiguousarray(cropped(shrunk(photo, side, step), step, side))  # of a thread of px, its middle
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
        do = "try a smaller --guidance and --image-guidance, --dtype float32, or other weights"
        raise MadiError("the latents are not finite", folder, do=do)
    return source, [codec.decode(one[None])[0] for one in made]


def write(
    out: Path, source, made, instruction: str, pauses, scores: dict[str, list[float]], chosen: int | None
) -> list[str]:
    """`source.png`, `pause_<n>.png` each, `contact.jpg`, and `chosen.png` where one is chosen; returns their names.

    Edits of an earlier run are taken out: what lies there is of one picture, one instruction.
    """
    files = {"source.png": source} | {f"pause_{count}.png": image for count, image in zip(pauses, made)}
    if chosen is not None:
        files["chosen.png"] = made[chosen]
    heads = [f"pause {count}" + " (chosen)" * (number == chosen) for number, count in enumerate(pauses)]
    cell = max(128, min(384, max(source.shape[:2])))
    notes = "; ".join(f"{name} {' '.join(f'{value:.3f}' for value in values)}" for name, values in scores.items())
    label = instruction + (f" | {notes}" if notes else "")
    sheet = images.contact_sheet([[source, *made]], [label], ["source", *heads], cell)
    for path in out.iterdir():
        if MADE.fullmatch(path.name) and path.name not in files:
            path.unlink()
    encoded = {"contact.jpg": sheet} | {name: images.encode_png(image) for name, image in files.items()}
    for name, data in encoded.items():
        with atomic(out / name) as partial:
            partial.write_bytes(data)
    return list(encoded)


def room(out: Path) -> None:
    """The folder for the edits; one with earlier edits loses them, which is said. Errors: MadiError for one with other
    things in it, and for what is no folder."""
    there = {path.name for path in out.iterdir()} if out.is_dir() else set()
    if there and "contact.jpg" not in there:
        raise MadiError(
            "holds other things than edits", out, "a new folder, or one of earlier edits", "say another --out"
        )
    if there:
        say(f"the edits in {out} will be replaced")
    folder_for(out, "--out")


def scorer_folders(rule: choice.Wish | None, original: np.ndarray, clip: Path | None, dino: Path | None):
    """The folders of CLIP and DINO: those that were named, else the small ones, which know the small world alone.

    Errors: MadiError where the rule needs one that was not named, and the picture is none of the small world."""
    small = rule is not None and read(original).residual <= SMALL_WORLD
    found = []
    for metric, option, folder in (("clip_dir", "--clip", clip), ("dino", "--dino", dino)):
        if rule and metric in rule.metrics and folder is None and not small:
            do = f"name the folder of a model for photographs with {option}, or choose a fixed pause (pause=8)"
            raise MadiError(f"{metric} of a photograph, and no model named", option, "a folder", do)
        found.append(folder or shipped({"--clip": "clip", "--dino": "dino"}[option]))
    return found


def check(instruction: str, rule: choice.Wish | None, captions, clip: Path, dino: Path) -> None:
    """What can be refused before any work is."""
    if not instruction.strip():
        raise MadiError("an empty instruction", "command line", "what to change, in words")
    if tag := IMAGE_TAG.search(instruction):
        raise MadiError(f"{tag.group()} in the instruction", "command line", "words: the picture goes first by itself")
    if captions and rule is None:
        raise MadiError("captions, but nothing to choose by", "--captions", do="add --choose clip_dir")
    if rule and "clip_dir" in rule.metrics:
        scorers.check(clip, scorers.CLIP)
    if rule and "dino" in rule.metrics:
        scorers.check(dino, scorers.DINO)


def run(photo: Path, instruction: str, folder: Path, out: Path, how: Settings, asked, captions, clip, dino) -> None:
    """The whole verb; `asked` is `--choose` or None. Bad input is refused before any weights are loaded."""
    rule = choice.wish(asked, how.pauses, captions) if asked else None
    if photo.resolve().parent == out.resolve() and WRITTEN.fullmatch(photo.name):
        raise MadiError("would be replaced by the edits", photo, do="another --out, or copy the picture elsewhere")
    original = picture(photo)
    clip, dino = scorer_folders(rule, original, clip, dino)
    check(instruction, rule, captions, clip, dino)
    room(out)
    source, made = edits(folder, original, instruction, how)
    scores, chosen = {}, None
    files = write(out, source, made, instruction, how.pauses, scores, chosen)  # before scoring, which may yet refuse
    if rule is not None:
        scores = choice.scored(source, made, captions, rule.metrics, clip, dino)
        chosen, why = choice.choose(rule, how.pauses, scores)
        files = write(out, source, made, instruction, how.pauses, scores, chosen)
    for name, values in scores.items():
        each = ", ".join(f"pause {count}: {value:.3f}" for count, value in zip(how.pauses, values))
        print(f"{name} ({choice.METRICS[name]}): {each}")
    if rule is not None:
        print(f"chosen: {'none' if chosen is None else f'pause {how.pauses[chosen]}'}, {why}")
    print(f"written to {out}: {', '.join(files)}")
