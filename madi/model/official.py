"""The official OmniGen repository's folder, its tensor names turned into diffusers'.

There the transformer is `model.safetensors` and `config.json` at the root, with a Phi-3 under `llm.`; queries, keys and
values are one matrix [(H+2K)*D, W] in this order. H heads, K key heads, D channels a head, W width.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch
from diffusers import OmniGenTransformer2DModel
from safetensors import SafetensorError
from safetensors.torch import load_file

from madi.errors import MadiError
from madi.model import stored
from madi.shards import read_json

FILE = "model.safetensors"
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
    return (folder / FILE).is_file() and not (folder / "model_index.json").exists()


def renamed(state: dict[str, torch.Tensor], queries: int, keys: int) -> dict[str, torch.Tensor]:
    """Official names to diffusers'. queries, keys: rows H*D and K*D of the joined matrix. Unknown names stay."""
    out = {}
    for name, value in state.items():
        own = next((new + name[len(old) :] for old, new in NAMES.items() if name.startswith(old)), name)
        if own.endswith("self_attn.qkv_proj.weight"):
            stem = own.removesuffix("qkv_proj.weight")
            parts = value.split([queries, keys, keys])
            out |= {f"{stem}to_{to}.weight": part.clone() for to, part in zip("qkv", parts)}
        else:
            out[own.replace("self_attn.o_proj.", "self_attn.to_out.0.")] = value
    return out


def transformer(folder: Path) -> OmniGenTransformer2DModel:
    """The folder's transformer as stock. Errors: MadiError with the first tensors that do not fit its config."""
    for name in ("config.json", "tokenizer_config.json", "vae"):
        if not (folder / name).exists():
            raise MadiError(
                f"{FILE} but no {name}", folder, "the official OmniGen folder, or a stock OmniGenPipeline one"
            )
    told = read_json(folder / "config.json")
    try:
        state = load_file(folder / FILE)
        config = {ours: told[theirs] for theirs, ours in CONFIG.items() if theirs in told}
        width = told["hidden_size"] // told["num_attention_heads"]
        state = renamed(state, told["hidden_size"], width * told["num_key_value_heads"])
        config["in_channels"] = state["patch_embedding.output_image_proj.weight"].shape[1]
        config["patch_size"] = state["patch_embedding.output_image_proj.weight"].shape[2]
        config["pos_embed_max_size"] = math.isqrt(state["patch_embedding.pos_embed"].shape[1])
        config["time_step_dim"] = state["t_embedder.linear_1.weight"].shape[1]
        stock = OmniGenTransformer2DModel(**config)
    except SafetensorError as fault:
        raise MadiError(f"not a whole safetensors file ({fault})", folder / FILE) from None
    except KeyError as fault:
        raise MadiError(f"no {fault} in config.json or {FILE}", folder, "OmniGen's own checkpoint") from None
    except (RuntimeError, TypeError, ValueError, ZeroDivisionError) as fault:
        reason = " ".join(str(fault).split())[:200]
        what = f"{FILE} and config.json make no OmniGen transformer ({reason})"
        raise MadiError(what, folder, "whole numbers for sizes, and the tensors that belong to them") from None
    stored.compare(stored.shapes_of(state), stored.shapes_of(stock.state_dict()), folder / FILE, "config.json")
    stock.load_state_dict(state)
    return torch.nn.Module.to(stock, next(iter(state.values())).dtype).eval()  # without diffusers' warning
