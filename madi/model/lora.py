"""Low-rank adapters by peft, on the stock transformer (whose class has no adapter methods of its own).

A folder is peft's own: adapter_config.json and adapter_model.safetensors, which `PeftModel.from_pretrained` reads.
Shapes: a linear layer's W [out,in] becomes W + (alpha / rank) B A, with A [rank,in] and B [out,rank] (zero at first).
"""

from __future__ import annotations

from pathlib import Path

from diffusers import OmniGenTransformer2DModel
from peft import LoraConfig, get_peft_model_state_dict, inject_adapter_in_model, set_peft_model_state_dict
from peft.tuners.tuners_utils import BaseTunerLayer
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from madi.errors import MadiError
from madi.model import stored
from madi.shards import atomic

TARGETS = ("to_q", "to_k", "to_v", "to_out.0")
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # of every name in a peft file


def inject(stock: OmniGenTransformer2DModel, rank: int, alpha: float, targets=TARGETS) -> OmniGenTransformer2DModel:
    """The same object with adapters in it; only these want gradients from now on."""
    return inject_adapter_in_model(LoraConfig(r=rank, lora_alpha=alpha, target_modules=list(targets)), stock)


def save(folder: Path | str, stock: OmniGenTransformer2DModel) -> None:
    """Writes the adapters in `stock`, without its own weights."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    found = {PREFIX + name: value.contiguous() for name, value in get_peft_model_state_dict(stock).items()}
    with atomic(folder / WEIGHTS) as partial:
        save_file(found, partial)
    stock.peft_config["default"].save_pretrained(folder)


def load(folder: Path | str, stock: OmniGenTransformer2DModel) -> OmniGenTransformer2DModel:
    """Puts a folder's adapters into `stock`. Errors: MadiError with the first tensors that do not fit."""
    folder = Path(folder)
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise MadiError(f"no {name}", folder, "a peft adapter folder (nothing is unpickled)")
    try:
        found = {name.removeprefix(PREFIX): value for name, value in load_file(folder / WEIGHTS).items()}
        stock = inject_adapter_in_model(LoraConfig.from_pretrained(folder), stock)
    except (SafetensorError, ValueError, TypeError) as fault:
        raise MadiError(
            " ".join(str(fault).split())[:200], folder, "a peft adapter of an OmniGen transformer"
        ) from None
    wanted = {name: tuple(value.shape) for name, value in get_peft_model_state_dict(stock).items()}
    given = {name: tuple(value.shape) for name, value in found.items()}
    if wrong := [name for name in wanted | given if wanted.get(name) != given.get(name)]:
        each = ", ".join(
            f"{name} {stored.dims(given.get(name))} for {stored.dims(wanted.get(name))}" for name in wrong[:3]
        )
        raise MadiError(f"{len(wrong)} tensors do not fit (found for expected): {each}", folder / WEIGHTS)
    set_peft_model_state_dict(stock, found)
    return stock


def merge(stock: OmniGenTransformer2DModel) -> OmniGenTransformer2DModel:
    """Adds the adapters to the weights and takes them out: plain stock again, under its own names."""
    for name, layer in list(stock.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            layer.merge()
            parent, _, own = name.rpartition(".")
            setattr(stock.get_submodule(parent), own, layer.get_base_layer())
    if hasattr(stock, "peft_config"):
        del stock.peft_config
    return stock
