"""The official OmniGen repository's folder, its tensor names turned into diffusers'.

There the transformer is `model.safetensors` and `config.json` at the root, with a Phi-3 under `llm.`; queries, keys and
values are one matrix [(H+2K)*D, W] in this order. H heads, K key heads, D channels a head, W width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path

import torch
from diffusers import OmniGenTransformer2DModel

from madi.errors import MadiError
from madi.model import stored
from madi.omnigen import tokenizer
from madi.shards import read_json

STEM, FILE = "model", "model.safetensors"
# Beginnings of names.
NAMES = {
    "llm.embed_tokens.": "embed_tokens.",
    "llm.norm.": "norm.",
    "llm.layers.": "layers.",
    "pos_embed": "patch_embedding.pos_embed",
    "x_embedder.proj.": "patch_embedding.output_image_proj.",
    "input_x_embedder.proj.": "patch_embedding.input_image_proj.",
    "time_token.mlp.0.": "time_token.linear_1.",
    "time_token.mlp.2.": "time_token.linear_2.",
    "t_embedder.mlp.0.": "t_embedder.linear_1.",
    "t_embedder.mlp.2.": "t_embedder.linear_2.",
    "final_layer.adaLN_modulation.1.": "norm_out.linear.",
    "final_layer.linear.": "proj_out.",
}
# Keys of the Phi-3 config that diffusers' transformer takes, under its own names.
CONFIG = {
    "hidden_size": "hidden_size",
    "intermediate_size": "intermediate_size",
    "num_attention_heads": "num_attention_heads",
    "num_key_value_heads": "num_key_value_heads",
    "num_hidden_layers": "num_layers",
    "rms_norm_eps": "rms_norm_eps",
    "rope_theta": "rope_base",
    "rope_scaling": "rope_scaling",
    "max_position_embeddings": "max_position_embeddings",
    "original_max_position_embeddings": "original_max_position_embeddings",
    "vocab_size": "vocab_size",
    "pad_token_id": "pad_token_id",
}


def is_official(folder: Path) -> bool:
    """Whether a folder is laid out as the official repository lays out weights, as pickles or shards too."""
    known = (f"{STEM}{ending}" for ending in (".safetensors", ".safetensors.index.json", *stored.PICKLES))
    return not (folder / "model_index.json").exists() and any((folder / name).is_file() for name in known)


def renamed(state: dict[str, torch.Tensor], queries: int, keys: int) -> dict[str, torch.Tensor]:
    """Official names to diffusers'. queries, keys: rows H*D and K*D of the joined matrix. Unknown names stay.

    Queries, keys and values are views of the joined matrix.
    """
    out = {}
    for name, value in state.items():
        own = next((new + name[len(old) :] for old, new in NAMES.items() if name.startswith(old)), name)
        if own.endswith("self_attn.qkv_proj.weight") and value.shape[0] == queries + 2 * keys:
            stem = own.removesuffix("qkv_proj.weight")
            parts = value.split([queries, keys, keys])
            out |= {f"{stem}to_{to}.weight": part for to, part in zip("qkv", parts)}
        else:
            out[own.replace("self_attn.o_proj.", "self_attn.to_out.0.")] = value
    return out


def adapter(state: dict[str, torch.Tensor], queries: int, keys: int) -> dict[str, torch.Tensor]:
    """Tensors of an official LoRA under stock names, which it equals exactly: queries, keys and values share A, and B
    (with all that has a row for each output) is split by rows.

    state: names as in the file, without peft's prefix. queries, keys: as in `renamed`.

    Errors: MadiError naming a tensor with another number of rows.
    """
    out = {}
    for name, value in state.items():
        own = next((new + name[len(old) :] for old, new in NAMES.items() if name.startswith(old)), name)
        stem, joined, part = own.partition("self_attn.qkv_proj.")
        if not joined:
            out[own.replace("self_attn.o_proj.", "self_attn.to_out.0.")] = value
            continue
        shared = part.startswith("lora_A")
        if not shared and value.shape[0] != queries + 2 * keys:
            raise MadiError(f"{value.shape[0]} rows", name, f"{queries + 2 * keys}, those of qkv_proj in this model")
        pieces = [value] * 3 if shared else value.split([queries, keys, keys])
        out |= {f"{stem}self_attn.to_{to}.{part}": piece.clone() for to, piece in zip("qkv", pieces)}
    return out


def is_adapter(names: Iterable[str]) -> bool:
    """Whether an adapter's tensors have the official names, which begin with the Phi-3's `llm.`."""
    return any(name.startswith("llm.") for name in names)


def patterns(by_module: dict[str, float] | None) -> dict[str, float]:
    """A peft config's rank_pattern or alpha_pattern with the names of its modules as stock has them."""
    out = {}
    for name, value in (by_module or {}).items():
        own = name.removeprefix("llm.").replace("o_proj", "to_out.0")
        out |= {own.replace("qkv_proj", f"to_{to}"): value for to in "qkv"}
    return out


def transformer(folder: Path) -> OmniGenTransformer2DModel:
    """The folder's transformer as stock, in the type that most of its tensors are stored in (8 bits: bfloat16).

    Errors: MadiError with the first tensors that do not fit its config, and for files that are not read.
    """
    found = stored.headers(stored.files(folder, STEM))
    for name in ("config.json", tokenizer.FILE):
        if not (folder / name).exists():
            raise MadiError(
                f"{FILE} but no {name}", folder, "the official OmniGen folder, or a stock OmniGenPipeline one"
            )
    settings = read_json(folder / "config.json")
    shapes = {name: torch.empty(header.shape, device="meta") for name, header in found.items()}
    try:
        rows = settings["hidden_size"], settings["hidden_size"] // settings["num_attention_heads"]
        rows = rows[0], rows[1] * settings["num_key_value_heads"]
        shapes = renamed(shapes, *rows)
        config = described(settings, shapes)
        stock = stored.empty(lambda: OmniGenTransformer2DModel(**config))
    except KeyError as fault:
        raise MadiError(f"no {fault} in config.json or {FILE}", folder, "OmniGen's own checkpoint") from None
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError, ZeroDivisionError) as fault:
        reason = " ".join(str(fault).split())[:200]
        what = f"{FILE} and config.json make no OmniGen transformer ({reason})"
        raise MadiError(what, folder, "whole numbers for sizes, and the tensors that belong to them") from None
    stored.compare(stored.shapes_of(shapes), stored.shapes_of(stock.state_dict()), folder / FILE)
    state = {}
    for name, value in stored.tensors(found, stored.dtype(found), f"reading {folder}"):
        state |= renamed({name: value}, *rows)
    return stored.filled(stock, state)


def described(settings: dict, shapes: dict[str, torch.Tensor]) -> dict:
    """The config of the stock transformer: an official config.json, and what it leaves to the tensors' shapes."""
    config = {ours: settings[theirs] for theirs, ours in CONFIG.items() if theirs in settings}
    config["in_channels"] = shapes["patch_embedding.output_image_proj.weight"].shape[1]
    config["patch_size"] = shapes["patch_embedding.output_image_proj.weight"].shape[2]
    config["pos_embed_max_size"] = math.isqrt(shapes["patch_embedding.pos_embed"].shape[1])
    config["time_step_dim"] = shapes["t_embedder.linear_1.weight"].shape[1]
    return config
