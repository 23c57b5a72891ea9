"""What a training reads: samples, plans and latents by sample, held against each other before the first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from madi import shards
from madi.errors import MadiError
from madi.records import LATENT, PLAN, SAMPLE


@dataclass(frozen=True)
class Example:
    """One training sample; latents are named, not held. No `sources`: text to image."""

    id: str
    instruction: str
    plan: tuple[str, ...]
    sources: tuple[str, ...]
    target: str


class Latents:
    """Latents [C,h,w] by name, memory-mapped from the shards beside an index."""

    def __init__(self, index: Path):
        self.where = index
        self.names: dict[str, dict[str, str]] = {}
        self.shard_of: dict[str, str] = {}
        for row in shards.stream(index, LATENT):
            self.names.setdefault(row["sample_id"], {})[row["role"]] = row["name"]
            self.shard_of[row["name"]] = row["shard"]
        self.files = {shard: _open(index.parent / shard) for shard in dict.fromkeys(self.shard_of.values())}

    def __getitem__(self, name: str) -> torch.Tensor:
        try:
            return self.files[self.shard_of[name]].get_tensor(name)
        except SafetensorError:
            where = self.where.parent / self.shard_of[name]
            raise MadiError(f"no tensor {name}", where, f"what {self.where.name} names", "encode again") from None

    def of(self, sample_id: str) -> tuple[tuple[str, ...], str]:
        """Names of a sample's sources, in order, and of its target. Errors: MadiError if there is no target."""
        roles = self.names.get(sample_id, {})
        if "target" not in roles:
            raise MadiError(f"no target latent of sample {sample_id}", self.where, "one of each sample", "encode again")
        return tuple(roles[f"source_{i + 1}"] for i in range(len(roles) - 1)), roles["target"]


def _open(path: Path):
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as fault:
        raise MadiError(f"not a whole safetensors file ({fault})", path, do="encode the latents again") from None


def read(samples: Path, plans: Path | None, latents: Latents) -> list[Example]:
    """All training samples in the order of the file, with their plans where there are any (`plans` None: nowhere)."""
    planned = shards.stream(plans, PLAN) if plans is not None else ()
    told = {row["sample_id"]: tuple(row["plan"]) for row in planned if row["status"] == "ok"}
    rows = shards.read(samples, SAMPLE, ["sample_id", "instruction"])
    if not rows:
        raise MadiError("no samples", samples, "at least one to train on")
    found = [(row, *latents.of(row["sample_id"])) for row in rows]
    return [
        Example(row["sample_id"], row["instruction"], told.get(row["sample_id"], ()), sources, target)
        for row, sources, target in found
    ]
