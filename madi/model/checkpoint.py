"""Weights on disk: a stock OmniGenPipeline folder, the mask tokens of a training in a file of their own beside it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import diffusers
import torch
from diffusers import OmniGenTransformer2DModel
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from madi.errors import MadiError
from madi.model import device as devices
from madi.model import official, stored
from madi.model.codec import Codec
from madi.model.packed import Packed
from madi.model.prompt import PAUSE, Tokens
from madi.model.sampler import SCHEDULE, scheduler
from madi.omnigen import tokenizer
from madi.progress import say
from madi.shards import as_umask, read_json, write_json

MASK_TOKENS = "mask_tokens.safetensors"
FORMS = f"a stock OmniGenPipeline folder, or OmniGen's own with {official.FILE} at its root"
PARTS = ("model_index.json", "transformer", "scheduler/scheduler_config.json", "tokenizer")


SHARD = "2GB"  # a file of the transformer: as much is copied in memory while it is written
INDEX = {  # of a stock folder
    "_class_name": "OmniGenPipeline",
    "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    "tokenizer": ["transformers", tokenizer.STOCK_CLASS],
    "transformer": ["diffusers", "OmniGenTransformer2DModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


@dataclass
class Weights:
    """All that edits need."""

    packed: Packed
    tokens: Tokens
    codec: Codec


def load(folder: Path | str, device: str = "cpu", dtype: str | None = None, vae: Path | str | None = None) -> Weights:
    """The weights in a stock folder, or in the official repository's, on a device, `dtype` None for as they are stored.

    vae: a folder with the VAE in it, for weights without one. Errors: MadiError naming what is missing or does not fit.
    """
    devices.hold(device)
    weights = read(Path(folder), vae and Path(vae))
    kind = getattr(torch, dtype) if dtype else weights.packed.stock.dtype
    torch.nn.Module.to(weights.packed.stock, device, kind)  # diffusers' own `to` warns of parts that are not there
    weights.codec.vae.to(device)
    return weights


def read(folder: Path, vae: Path | None = None) -> Weights:
    """The weights as they are stored, on the CPU: views of the mapped files, but for 8-bit numbers, which are cast."""
    if not folder.is_dir():
        raise MadiError("a file" if folder.exists() else "no such folder", folder, f"weights: {FORMS}")
    if not (folder / "model_index.json").exists() and (folder / "weights" / "model_index.json").exists():
        folder = folder / "weights"  # of a run
    if official.is_official(folder):
        stored.files(folder, official.STEM)  # a pickle is named before all else that a fine-tune's folder may lack
        codec, words = read_vae(folder, vae), tokenizer.load(folder)
        stock = official.transformer(folder)
    else:
        check_folder(folder)
        codec, words = read_vae(folder, vae), tokenizer.load(folder / "tokenizer")
        stock = stored.read(folder / "transformer", OmniGenTransformer2DModel)
    tokens = Tokens(words, stock.config.patch_size)
    return Weights(Packed(with_pause(stock, tokens, folder)), tokens, codec)


def read_vae(folder: Path, vae: Path | None) -> Codec:
    """The VAE in a weights folder, or the one in `vae`: its own folder, or a weights folder that holds one.

    Fine-tunes by the official script have none, since they are trained on the base's.
    """
    if vae is None and not (folder / "vae").is_dir():
        if not official.is_official(folder):
            raise MadiError("no vae", folder, FORMS)
        do = "take the base's: madi export --weights THIS --vae BASE --out NEW, where BASE is a folder with vae/ in it"
        raise MadiError("no vae, as in fine-tunes by the official script", folder, "vae/ beside the weights", do)
    if vae is not None:
        say(f"VAE: taken from {vae}")
    return Codec.load(vae or folder)


def save(folder: Path | str, weights: Weights, mask_tokens: dict[str, torch.Tensor] | None = None) -> None:
    """Write a folder that stock `OmniGenPipeline.from_pretrained` loads; an older one is replaced as a whole."""
    folder = Path(folder)
    partial = folder.with_name(f".{folder.name}.partial")
    for part in (weights.packed.stock, weights.codec.vae):
        part.register_to_config(_name_or_path="")  # equal weights give equal files, wherever they were loaded from
    shutil.rmtree(partial, ignore_errors=True)
    weights.packed.stock.save_pretrained(partial / "transformer", safe_serialization=True, max_shard_size=SHARD)
    weights.codec.vae.save_pretrained(partial / "vae", safe_serialization=True)
    scheduler().save_pretrained(partial / "scheduler")
    weights.tokens.tokenizer.save_pretrained(partial / "tokenizer")
    write_json(partial / "model_index.json", INDEX | {"_diffusers_version": diffusers.__version__})
    if mask_tokens is not None:
        save_file({name: value.contiguous() for name, value in mask_tokens.items()}, partial / MASK_TOKENS)
    as_umask(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)


def mask_tokens(folder: Path | str) -> dict[str, torch.Tensor] | None:
    """The mask tokens beside a folder's weights, None where there are none."""
    path = Path(folder) / MASK_TOKENS
    try:
        return load_file(path) if path.is_file() else None
    except SafetensorError as fault:
        raise MadiError(f"not a whole safetensors file ({fault})", path, "what training wrote") from None


def check_folder(folder: Path) -> None:
    """Hold a folder against the parts of a stock OmniGen pipeline and its schedule."""
    for part in PARTS:
        if not (folder / part).exists():
            raise MadiError(f"no {part}", folder, FORMS)
    kind = read_json(folder / "model_index.json").get("_class_name")
    if kind != INDEX["_class_name"]:
        raise MadiError(f"_class_name is {kind}", folder / "model_index.json", INDEX["_class_name"])
    found = read_json(folder / "scheduler" / "scheduler_config.json")
    for key, value in SCHEDULE.items():
        if found.get(key) != value:
            raise MadiError(f"{key} is {found.get(key)}", where=folder / "scheduler", expected=f"{value}")


def with_pause(stock: OmniGenTransformer2DModel, tokens: Tokens, folder: Path) -> OmniGenTransformer2DModel:
    """Hold the pause token against the vocabulary; a tokenizer without one gets it, its row the mean embedding."""
    rows, used, known = stock.config.vocab_size, len(tokens.tokenizer), tokens.pause_id is not None
    tokens.add_pause()
    if tokens.pause_id >= rows:
        raise MadiError(f"{PAUSE} is id {tokens.pause_id}", where=folder, expected=f"less than vocab_size {rows}")
    if not known:
        with torch.no_grad():
            stock.embed_tokens.weight[tokens.pause_id] = stock.embed_tokens.weight[:used].mean(0)
    return stock
