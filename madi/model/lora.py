"""Low-rank adapters by peft, on the stock transformer (whose class has no adapter methods of its own).

A folder is peft's own: adapter_config.json and adapter_model.safetensors, which `PeftModel.from_pretrained` reads.
Adapters that the official OmniGen repository trained (on `qkv_proj` and `o_proj`) are read under its names.
Shapes: a linear layer's W [out,in] becomes W + (alpha / rank) B A, with A [rank,in] and B [out,rank] (zero at first).
"""

from __future__ import annotations

import warnings
from pathlib import Path

import torch
from diffusers import OmniGenTransformer2DModel
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from safetensors.torch import save_file

from madi.errors import MadiError
from madi.model import official, stored
from madi.shards import atomic, read_json

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
CONFIG, WEIGHTS, PICKLE = "adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"
PREFIX = "base_model.model."  # of every name in a peft file


def inject(
    stock: OmniGenTransformer2DModel, rank: int, alpha: float, targets=TARGETS, seed: int = 0
) -> OmniGenTransformer2DModel:
    """The same object with adapters in it; only these want gradients from now on. seed: of what A begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets)), stock)


def save(folder: Path | str, stock: OmniGenTransformer2DModel) -> None:
    """Writes the adapters in `stock`, without its own weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        PREFIX + name: value.contiguous()
        for name, value in get_peft_model_state_dict(stock, save_embedding_layers=False).items()
    }
    with atomic(folder / WEIGHTS) as partial:
        save_file(found, partial)
    stock.peft_config["default"].save_pretrained(folder)


def load(folder: Path | str, stock: OmniGenTransformer2DModel) -> OmniGenTransformer2DModel:
    """Puts a folder's adapters into `stock`: those of a run, peft's on stock diffusers, or the official repository's.

    Errors: MadiError with the first tensors that do not fit, and for pickles and numbers that are not finite.
    """
    folder = Path(folder)
    if not (folder / CONFIG).exists() and (folder / "lora" / CONFIG).exists():
        folder = folder / "lora"  # of a run
    if not (folder / WEIGHTS).is_file() and (folder / PICKLE).is_file():
        raise stored.pickled(folder / PICKLE, WEIGHTS.removesuffix(".safetensors"))
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise MadiError(f"no {name}", folder, "a peft adapter folder (nothing is unpickled)")
    config = _config(folder / CONFIG)
    listed = stored.headers([folder / WEIGHTS])
    pairs = stored.tensors(listed, stored.dtype(listed), f"reading {folder}")
    found = {name.removeprefix(PREFIX): value for name, value in pairs}
    if official.is_adapter(found):
        found = from_official(config, found, stock)
    try:
        stock = inject_adapter_in_model(config, stock)
    except Exception as fault:  # peft lets any error of Python out for a value that it did not expect
        raise _unusable(folder / CONFIG, fault) from None
    wanted = stored.shapes_of(get_peft_model_state_dict(stock, save_embedding_layers=False))
    stored.compare(stored.shapes_of(found), wanted, folder / WEIGHTS, CONFIG)
    set_peft_model_state_dict(stock, found)
    return stock


def from_official(config: LoraConfig, found: dict[str, torch.Tensor], stock) -> dict[str, torch.Tensor]:
    """An official adapter's tensors under stock names; `config` is changed to name the same modules."""
    width = stock.config.hidden_size // stock.config.num_attention_heads
    found = official.adapter(found, stock.config.hidden_size, width * stock.config.num_key_value_heads)
    config.target_modules = {name.split(".lora_")[0] for name in found if ".lora_" in name}
    config.rank_pattern = official.patterns(config.rank_pattern)
    config.alpha_pattern = official.patterns(config.alpha_pattern)
    return found


def _config(path: Path) -> LoraConfig:
    """The adapter's config. Errors: MadiError, for another method than LoRA too."""
    told = read_json(path)
    if told.get("peft_type") != "LORA":
        raise MadiError(f"peft_type is {told.get('peft_type')}", path, "LORA")
    if not isinstance(told.get("target_modules"), str | list):
        raise MadiError(f"target_modules is {told.get('target_modules')}", path, f"layers, such as {list(TARGETS)}")
    try:
        with warnings.catch_warnings(action="ignore"):  # peft's, of keys that a newer version wrote
            return LoraConfig.from_pretrained(path.parent)
    except Exception as fault:  # as above
        raise _unusable(path, fault) from None


def _unusable(path: Path, fault: Exception) -> MadiError:
    reason = " ".join(str(fault).split())[:200]
    return MadiError(f"peft cannot use it ({reason})", path, "the config of a LoRA of an OmniGen transformer")


def merge(stock: OmniGenTransformer2DModel) -> OmniGenTransformer2DModel:
    """Adds the adapters to the weights and takes them out: plain stock again, under its own names."""
    done: list[str] = []
    for name, layer in list(stock.named_modules()):
        if any(name.startswith(f"{above}.") for above in done):
            continue
        if isinstance(layer, AuxiliaryTrainingWrapper):  # whole modules or rows that were trained beside the adapters
            plain = layer.unload_and_optionally_merge_module(True, False, None)
        elif isinstance(layer, BaseTunerLayer):
            layer.merge()
            plain = layer.get_base_layer()
        else:
            continue
        parent, _, own = name.rpartition(".")
        setattr(stock.get_submodule(parent), own, plain)
        done.append(name)
    if hasattr(stock, "peft_config"):
        del stock.peft_config
    return stock
