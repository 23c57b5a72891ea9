"""`madi edit photo`: one picture of a person's own, edited at several pause counts, one of them chosen on request.

Shapes: C latent channels, h x w latent pixels; P pause counts. Pictures are uint8 [H,W,3].
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import typer

from madi import images
from madi.errors import MadiError
from madi.options import counts
from madi.progress import progress, say
from madi.shards import atomic

LONGEST = 1024  # px: OmniGen's own longest side of an edit
RULE = re.compile(
    r"(?P<objective>clip_dir|dino)(@(?P<guard>clip_dir|dino)>=(?P<bar>-?\d*\.?\d+))?|pause=(?P<pause>\d+)"
)
METRICS = {"clip_dir": "follows the captions", "dino": "keeps the source"}


@dataclass(frozen=True)
class Wish:
    """`--choose`: the highest `objective` among the edits whose `guard` is at least `bar`; or a fixed `pause`."""

    objective: str | None = None
    guard: str | None = None
    bar: float = 0.0
    pause: int | None = None

    @property
    def metrics(self) -> list[str]:
        return [name for name in (self.objective, self.guard) if name]


@dataclass(frozen=True)
class Settings:
    """How to sample. side: longest side of the edit in px, None for what the model reaches, at most 1024."""

    pauses: tuple[int, ...]
    steps: int
    guidance: float
    image_guidance: float
    seed: int
    side: int | None


def wish(text: str, pauses: tuple[int, ...], captions: tuple[str, str] | None) -> Wish:
    """Reads `--choose`. Errors: MadiError for another form, or for what cannot be known without captions."""
    found = RULE.fullmatch(text.replace(" ", ""))
    if not found or found["objective"] and found["objective"] == found["guard"]:
        raise MadiError(
            f"found {text!r}", "--choose", "clip_dir, dino, clip_dir@dino>=0.91, dino@clip_dir>=0.1 or pause=8"
        )
    if found["pause"] is not None:
        if int(found["pause"]) not in pauses:
            raise MadiError(f"pause {found['pause']} is not made", "--choose", f"one of --pause {told(pauses)}")
        return Wish(pause=int(found["pause"]))
    made = Wish(found["objective"], found["guard"], float(found["bar"] or 0))
    if "clip_dir" in made.metrics and captions is None:
        do = "say --captions 'what it shows' 'what it is to show', or choose by dino or by a fixed pause (pause=8)"
        raise MadiError("clip_dir needs to know what the picture shows before and after", "--choose", do=do)
    if captions and captions[0].split() == captions[1].split():
        raise MadiError("both captions are the same", "--captions", "what differs between source and edit")
    return made


def set_threads(count: int) -> None:
    """Threads of torch."""
    import torch

    torch.set_num_threads(count)


def told(pauses) -> str:
    return ",".join(map(str, pauses))


def picture(path: Path) -> np.ndarray:
    """The photo, upright and RGB. Errors: MadiError, one line for whatever it cannot be."""
    if not path.is_file():
        raise MadiError("no such file", path, "a picture: PNG, JPEG or WebP")
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

    weights = checkpoint.load(folder)
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


def scored(source, made, captions, metrics, clip: Path, dino: Path) -> dict[str, list[float]]:
    """Each metric [P] of the edits, by the folders' models. An edit that embeds as its source does has clip_dir 0."""
    from madi.score.clip import Clip
    from madi.score.dino import Dino
    from madi.score.embed import cosine, direction

    found = {}
    if "dino" in metrics:
        model = Dino(dino)
        before, *after = model.images([model.prepare(image) for image in (source, *made)])
        found["dino"] = [cosine(before, one) for one in after]
    if "clip_dir" in metrics:
        model = Clip(clip)
        before, *after = model.images([model.prepare(image) for image in (source, *made)])
        values = [direction(before, one, *model.texts(captions)) for one in after]
        if values[0][1] and values[0][0] is None:
            raise MadiError(values[0][1], "--captions", "captions that this CLIP tells apart")
        found["clip_dir"] = [value for value, _ in values]
    return found


def choose(rule: Wish, pauses: tuple[int, ...], scores: dict[str, list[float]]) -> tuple[int | None, str]:
    """Index of the edit to take, None where none meets the bar, and why. The rule of Table 3's scaled rows."""
    from madi.tables import choose as tables

    if rule.pause is not None:
        return pauses.index(rule.pause), "the pause that was asked for"
    objective = np.array([scores[rule.objective]])
    if rule.guard is None:
        best, among = int(tables.best(objective)[0]), f"of {len(pauses)}"
    else:
        admitted = tables.admitted(np.array([scores[rule.guard]]), rule.bar)
        best, count = int(tables.best_within(objective, admitted)[0]), int(admitted.sum())
        among = f"of the {count} of {len(pauses)} with {rule.guard} >= {rule.bar:g}"
    if best == tables.NONE:
        return None, f"no edit has {rule.guard} >= {rule.bar:g} (the highest is {max(scores[rule.guard]):.3f})"
    return best, f"the highest {rule.objective}, {scores[rule.objective][best]:.3f}, {among}"


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
    rule = wish(asked, how.pauses, captions) if asked else None
    for name, model in (("clip_dir", clip), ("dino", dino)):
        if rule and name in rule.metrics and not model.is_dir():
            raise MadiError("no such folder", model, f"the model of {name}", f"--{name.removesuffix('_dir')} DIR")
    source, made = edits(folder, picture(photo), instruction, how)
    scores, chosen = {}, None
    write(out, source, made, instruction, how.pauses, scores, chosen)  # before scoring, which may still refuse
    if rule is not None:
        scores = scored(source, made, captions, rule.metrics, clip, dino)
        chosen, why = choose(rule, how.pauses, scores)
        write(out, source, made, instruction, how.pauses, scores, chosen)
    for name, values in scores.items():
        each = ", ".join(f"pause {count}: {value:.3f}" for count, value in zip(how.pauses, values))
        print(f"{name} ({METRICS[name]}): {each}")
    if rule is not None:
        print(f"chosen: {'none' if chosen is None else f'pause {how.pauses[chosen]}'}, {why}")
    print(f"written: {out}/contact.jpg, {', '.join(f'pause_{count}.png' for count in how.pauses)}")


def verb(
    photo: Path = typer.Argument(..., help="Your picture: PNG, JPEG or WebP, of any size and mode."),
    instruction: str = typer.Argument(..., help="What to change, in words."),
    weights: Path = typer.Option(Path("assets/tiny/omnigen"), help="Folder of a stock OmniGenPipeline, or a run's."),
    pause: str = typer.Option("0,8,16,32", help="Pause counts, one edit each."),
    out: Path = typer.Option(Path("edits"), help="Folder for the edits and contact.jpg."),
    choose: str | None = typer.Option(
        None, help="Pick one: clip_dir, dino, 'clip_dir@dino>=0.91', 'dino@clip_dir>=0.1' or pause=8."
    ),
    captions: tuple[str, str] | None = typer.Option(None, help="What the picture shows, and what it is to show."),
    clip: Path = typer.Option(Path("assets/tiny/clip"), help="open_clip folder for clip_dir."),
    dino: Path = typer.Option(Path("assets/tiny/dino"), help="timm folder for dino."),
    steps: int = typer.Option(50, min=1, help="Euler steps."),
    guidance: float = typer.Option(2.5, min=0, help="How strongly the words count."),
    image_guidance: float = typer.Option(1.5, min=0, help="How strongly the source counts."),
    seed: int = typer.Option(0, min=0, help="Of the noise, which all pause counts share."),
    side: int | None = typer.Option(
        None, help="Longest side of the edit in px (default: the model's most, 1024 at most)."
    ),
    threads: int = typer.Option(2, min=1, help="CPU threads."),
) -> None:
    """Edit one picture of your own at several pause counts; pick one by the tables' rule and say why."""
    how = Settings(counts(pause, "--pause"), steps, guidance, image_guidance, seed, side)
    set_threads(threads)
    run(photo, instruction, weights, out, how, choose, captions, clip, dino)
