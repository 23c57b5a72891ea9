"""How large what runs is: the transformer, the VAE, the embedding models; and how many tokens a prompt has.

Sizes are read from the folders of a config; where weights are yet to be fetched, they are the published ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

from madi.config import Config
from madi.errors import MadiError
from madi.settings import Run
from madi.shards import read_json

PX_A_TOKEN = 16  # 8 px a latent pixel, 2 latent pixels a token
# Tokens of words, counted on the demo. Those about photographs are some more: under 1 % of an edit at 1024 px.
OPENING, CLOSING = 11, 7  # of the template, image tags among them
NEGATIVE, DROPPED, EMPTY = 91, 17, 18  # prompts of inference without conditions, of training without, without words
WORDS = {"emu_edit": 9, "magicbrush": 9, "complex_edit": 23, "idea_bench": 19, "geneval": 6}
OTHER_WORDS = 10  # of a training's or a validation's instruction
PLAN_WORDS = 31  # of a plan, a pause after each of its 2.6 steps
SOURCES = {"idea_bench": 2, "geneval": 0}  # pictures that are edited; one elsewhere. IDEA-Bench's own cases vary


@dataclass(frozen=True)
class Net:
    """A transformer, by the names of diffusers' config."""

    hidden_size: int
    num_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    in_channels: int
    patch_size: int
    time_step_dim: int
    origin: str


@dataclass(frozen=True)
class Vae:
    """An AutoencoderKL: widths of its blocks, residual layers of an encoder's block, attention in the middle."""

    block_out_channels: tuple[int, ...]
    layers_per_block: int
    latent_channels: int
    mid_block_add_attention: bool
    origin: str


@dataclass(frozen=True)
class Tower:
    """An embedding model: a transformer of `tokens` a picture (or a text)."""

    width: int
    layers: int
    tokens: int
    mlp: float
    patch: int
    origin: str


@dataclass(frozen=True)
class Prompt:
    """The length of a prompt and where in it its images stand: what `madi.model.flops` asks of one."""

    length: int
    slots: tuple[tuple[int, int], ...] = ()

    def __len__(self) -> int:
        return self.length


OMNIGEN = Net(3072, 32, 32, 32, 8192, 32064, 4, 2, 256, "OmniGen-v1 as published")
SDXL = Vae((128, 256, 512, 512), 2, 4, True, "SDXL's VAE as published, which OmniGen-v1 has")
WIDTHS = {"tiny": (192, 12), "small": (384, 12), "base": (768, 12), "large": (1024, 24)}  # of a ViT, and its layers
VIT = re.compile(r"vit_(tiny|small|base|large)_patch(\d+)_(?:clip_)?(\d+)?")
CLIP_TEXT = Tower(512, 12, 77, 4.0, 0, "the text model of CLIP ViT-B/32")


def net_of(folder: str) -> Net:
    """The transformer in a weights folder; OmniGen-v1's size where there is none yet."""
    return _read(Path(folder, "transformer/config.json"), OMNIGEN)


def vae_of(folder: str) -> Vae:
    """The VAE in a weights folder; SDXL's where there is none yet."""
    return _read(Path(folder, "vae/config.json"), SDXL)


def _read(path: Path, published):
    if not path.is_file():
        return published
    found = read_json(path)
    names = [name for name in vars(published) if name != "origin"]
    if missing := [name for name in names if name not in found]:
        raise MadiError(f"no {missing[0]}", path, "a config of diffusers")
    values = {name: tuple(found[name]) if isinstance(found[name], list) else found[name] for name in names}
    return replace(published, **values, origin=str(path))


def clip_of(folder: str, repo: str = "") -> tuple[Tower, Tower]:
    """The picture and the text model of a CLIP's folder; by its name on the hub where there is none yet."""
    path = Path(folder, "open_clip_config.json")
    if not path.is_file():
        return named(repo or folder), CLIP_TEXT
    told = read_json(path)["model_cfg"]
    seen, read = told["vision_cfg"], told["text_cfg"]
    tokens = (seen["image_size"] // seen["patch_size"]) ** 2 + 1
    picture = Tower(
        seen["width"], seen["layers"], tokens, seen.get("mlp_ratio", 4.0), seen["patch_size"], origin=str(path)
    )
    return picture, Tower(
        read["width"], read["layers"], read.get("context_length", 77), read.get("mlp_ratio", 4.0), 0, str(path)
    )


def dino_of(folder: str, repo: str = "") -> Tower:
    """The ViT of a folder of timm's; by its name on the hub where there is none yet."""
    path = Path(folder, "config.json")
    if not path.is_file() or "model_args" not in (told := read_json(path)):
        return named(repo or folder)
    args = told["model_args"]
    tokens = (args["img_size"][0] // args["patch_size"]) ** 2 + 1
    return Tower(args["embed_dim"], args["depth"], tokens, args.get("mlp_ratio", 4.0), args["patch_size"], str(path))


def named(name: str) -> Tower:
    """A ViT by timm's name for it, such as vit_base_patch32_clip_224; ViT-B/16 where that tells nothing."""
    found = VIT.search(name)
    if not found:
        return Tower(768, 12, 197, 4.0, 16, f"guessed: {name} tells no size")
    size, patch, px = found[1], int(found[2]), int(found[3] or (518 if "dinov2" in name else 224))
    return Tower(*WIDTHS[size], (px // patch) ** 2 + 1, 4.0, patch, name)


def noise(px: int) -> int:
    """Tokens of a square picture."""
    return (px // PX_A_TOKEN) ** 2


def prompt(images: int, px: int, words: int, pauses: int = 0) -> Prompt:
    """The template around `images` pictures, `words` tokens and the pauses."""
    size = noise(px)
    slots = tuple((OPENING + number * size, OPENING + (number + 1) * size) for number in range(images))
    return Prompt(OPENING + images * size + words + pauses + CLOSING, slots)


def asked(benchmark: str, px: int, pauses: int = 0) -> Prompt:
    """The conditional prompt of an edit."""
    return prompt(sources(benchmark), px, WORDS.get(benchmark, OTHER_WORDS), pauses)


def sources(benchmark: str) -> int:
    return SOURCES.get(benchmark, 1)


def stream(config: Config, run: Run) -> list[tuple[str, float, Prompt]]:
    """What a training's samples are: (name, share, prompt), the shares together 1, as dropping conditions, masked
    sources and plans leave them on average."""
    px, drop = config.size_px, run.drop
    edits = edit_share(config, run)
    planned = PLAN_WORDS * config.prompts.plans.share * run.expressive
    masked = region_share(config) * run.masked_source.keep if run.masked_source else 0.0
    added = masked * (run.masked_source is not None and run.masked_source.place == "added")
    words, whole = round(OTHER_WORDS + planned), 1 - drop.all - drop.text
    found = [
        ("edit", edits * whole * (1 - added), prompt(1, px, words)),
        ("edit with its masked source", edits * whole * added, prompt(2, px, words)),
        ("edit without words", edits * drop.text, prompt(1, px, 0)),
        ("text to image", (1 - edits) * (1 - drop.all), prompt(0, px, OTHER_WORDS)),
        ("no condition", drop.all * (1 - drop.negative), Prompt(DROPPED)),
        ("negative words", drop.all * drop.negative, Prompt(NEGATIVE)),
    ]
    return [one for one in found if one[1] > 0]


def edit_share(config: Config, run: Run) -> float:
    """Which share of a training's samples are edits."""
    train, of = config.data.train, {"edit": 1.0, "t2i": 0.0}
    mean = train.edits / max(1, train.edits + train.t2i)
    portions = run.mixture.values()
    weights = [portion.weight or portion.count for portion in portions]
    shares = [of.get(portion.kind, 1.0 if portion.planned else mean) for portion in portions]
    return sum(w * s for w, s in zip(weights, shares)) / sum(weights) if weights else mean


def region_share(config: Config) -> float:
    """Which share of the training edits say where to edit: MagicBrush's, UltraEdit's region set, single scene edits."""
    train = config.data.train
    if train.reader == "scenes":
        return 0.7  # the others are compounds, sessions and pictures of two sources
    known = {name: source.take or 0 for name, source in train.sources.items() if source.reader != "ultraedit_captions"}
    left = train.edits - sum(known.values())  # of the one that is taken whole
    sizes = {name: size or max(0, left) for name, size in known.items()}
    with_region = sum(size for name, size in sizes.items() if _tells_regions(train.sources[name]))
    return with_region / max(1, sum(sizes.values()))


def _tells_regions(source) -> bool:
    place = source.hub.repo if source.hub else source.files or source.url
    return source.reader.startswith("magicbrush") or "region" in place.lower()
