"""A pretraining's state between interruptions: one safetensors file, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from madi import shards
from madi.errors import MadiError

FILE = "state.safetensors"


def save(folder: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer, log: torch.Tensor) -> None:
    """Keep weights, optimizer moments and the loss log [steps done, columns] (float64)."""
    tensors = {f"module.{name}": value for name, value in module.state_dict().items()} | {"log": log}
    for number, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in moments.items()}
    with shards.atomic(folder / FILE) as partial:
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial)


def load(folder: Path, module: torch.nn.Module, optimizer: torch.optim.Optimizer) -> torch.Tensor | None:
    """Put a kept state back and give its loss log; None if there is none. Errors: MadiError for a broken file."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        tensors = load_file(path)
    except SafetensorError as fault:
        raise MadiError(f"not a whole safetensors file ({fault})", path, do="delete it; training begins anew") from None
    module.load_state_dict(_below("module.", tensors))
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in _below("optimizer.", tensors).items():
        number, moment = name.split(".")
        moments.setdefault(int(number), {})[moment] = value
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return tensors["log"]


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
