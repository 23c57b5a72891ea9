"""A training's states between interruptions: one safetensors file each, whole or not at all, the newest few kept.

A file holds whole tensors under the model's own names, however many processes trained it, so that as many as one likes
go on from it: weights, both moments of AdamW, the average, the loss log [steps, columns] (float64). No random state:
every draw of a step follows from its number.
"""

from __future__ import annotations

import json
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)

from madi import images, shards
from madi.errors import MadiError
from madi.progress import say
from madi.train.average import Average

FILE = re.compile(r"step-(\d{7})\.safetensors")
WHOLE = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=True, strict=False)


@dataclass(frozen=True)
class Progress:
    """The loss log [steps done, columns], float64, and how long these steps took in all goes together."""

    log: torch.Tensor
    seconds: float


def key(*facts: object) -> str:
    """16 hex digits over all that a run depends on: its settings and the hashes of its inputs."""
    return images.sha256(json.dumps(facts, sort_keys=True).encode())[:16]


def weights(trainee: torch.nn.Module) -> dict[str, torch.Tensor]:
    """All trained tensors by name, whole, on the CPU of the main process (elsewhere none). Called by all processes."""
    return get_model_state_dict(trainee, options=WHOLE)


def gathered(trainee, optimizer, average: Average | None, done: Progress, main: bool = True) -> dict[str, torch.Tensor]:
    """What a file holds. Called by all processes; only the main one gets it."""
    found = {f"model.{name}": value for name, value in weights(trainee).items()}
    for name, moments in get_optimizer_state_dict(trainee, optimizer, options=WHOLE).get("state", {}).items():
        found |= {f"optimizer.{kind}.{name}": value for kind, value in moments.items()}
    if average is not None:
        found |= {f"average.{name}": _whole(value, main) for name, value in zip(average.names, average.values)}
    return found | {"log": done.log, "seconds": torch.tensor(done.seconds, dtype=torch.float64)}


def _whole(value: torch.Tensor, main: bool) -> torch.Tensor | None:
    """On the CPU of the main process; the others have helped to put it together."""
    whole = value.full_tensor() if hasattr(value, "full_tensor") else value
    return whole.cpu() if main else None


def write(folder: Path, tensors: dict[str, torch.Tensor], keep: int) -> None:
    """Write the state after its log's last step, then drop all but the newest `keep`. Errors: MadiError where the disk
    will not take it; what was there stays."""
    path = folder / f"step-{len(tensors['log']):07}.safetensors"
    try:
        with shards.atomic(path) as partial:
            sums = json.dumps({name: checksum(value) for name, value in tensors.items()})
            save_file({name: value.contiguous() for name, value in tensors.items()}, partial, {"sums": sums})
    except (OSError, SafetensorError) as fault:
        left = ", ".join(one.name for one in files(folder)[:1]) or "none"
        needed = sum(value.numel() * value.element_size() for value in tensors.values()) / 1e9
        do = f"make room for {needed:.2f} GB and run again: it goes on from the newest state ({left})"
        raise MadiError(f"the state cannot be written ({' '.join(str(fault).split())})", path, do=do) from None
    for old in files(folder)[keep:]:
        old.unlink()


def files(folder: Path) -> list[Path]:
    """States in a folder, the newest first."""
    return sorted((path for path in folder.glob("step-*") if FILE.fullmatch(path.name)), reverse=True)


def load(folder: Path, trainee, optimizer, average: Average | None) -> Progress | None:
    """Put the newest whole state back and say how far it is; None where there is none. A broken one is passed over."""
    for path in files(folder):
        try:
            tensors = read(path)
            complete(tensors, trainee, average)
        except (SafetensorError, OSError, KeyError, ValueError) as fault:
            say(f"warning: {path}: not a whole state ({fault}); the one before it is taken, if there is one")
            continue
        put_back(tensors, trainee, optimizer, average)
        return Progress(tensors["log"], tensors["seconds"].item())
    if files(folder):
        say(f"warning: {folder}: no whole state is left, so that training starts anew")
    return None


def read(path: Path) -> dict[str, torch.Tensor]:
    """Tensors of a state file, mapped and held against their checksums. Errors: ValueError where one differs."""
    with safe_open(path, "pt") as file:
        sums = json.loads((file.metadata() or {})["sums"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    for name, value in tensors.items():
        if checksum(value) != sums[name]:
            raise ValueError(f"tensor {name} has another checksum")
    return tensors


def checksum(value: torch.Tensor) -> int:
    """CRC-32 of a tensor's bytes: quick enough for tens of gigabytes."""
    return zlib.crc32(value.contiguous().reshape(-1).view(torch.uint8).numpy())


def put_aside(folder: Path, newest: int) -> None:
    """Take states that are not whole out of the count: all later than the step `newest`, which is the one in use."""
    for path in files(folder):
        if int(FILE.fullmatch(path.name)[1]) > newest:
            path.rename(path.with_name(f"broken-{path.name}"))


def complete(tensors: dict[str, torch.Tensor], trainee: torch.nn.Module, average: Average | None) -> None:
    """Errors: KeyError for a tensor that is missing, before any is put back."""
    for name, parameter in trainee.named_parameters():
        kinds = ["model", *(["average"] if average is not None else [])] if parameter.requires_grad else []
        for kind in [*kinds, *(f"optimizer.{moment}" for moment in ("exp_avg", "exp_avg_sq") if kinds)]:
            tensors[f"{kind}.{name}"]


def put_back(tensors: dict[str, torch.Tensor], trainee, optimizer, average: Average | None) -> None:
    """Tensors of a state file to where they came from; each process takes its own part of them."""
    set_model_state_dict(trainee, _below("model.", tensors), options=WHOLE)
    moments: dict[str, dict[str, torch.Tensor]] = {}
    for name, value in _below("optimizer.", tensors).items():
        kind, _, parameter = name.partition(".")
        moments.setdefault(parameter, {})[kind] = value
    given = {"state": moments, "param_groups": get_optimizer_state_dict(trainee, optimizer)["param_groups"]}
    set_optimizer_state_dict(trainee, optimizer, given, options=WHOLE)
    if average is not None:
        average.count = len(tensors["log"])
        for name, value in zip(average.names, average.values):
            value.copy_(_like(tensors[f"average.{name}"], value))


def _like(whole: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """A whole tensor, divided as `part` is."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if isinstance(part, DTensor):
        return distribute_tensor(whole.to(part.device), part.device_mesh, part.placements)
    return whole.to(part.device)


def _below(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
