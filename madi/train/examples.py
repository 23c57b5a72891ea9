"""What a training reads: samples, plans and latents by sample, held against each other before the first step."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from madi import images, shards
from madi.errors import MadiError
from madi.records import LATENT, PLAN, SAMPLE


@dataclass(frozen=True)
class Example:
    """One training sample; latents are named, not held. No `sources`: text to image. `masked`: its first source with
    the region blanked. `set`: where it comes from."""

    id: str
    instruction: str
    plan: tuple[str, ...]
    sources: tuple[str, ...]
    target: str
    masked: str | None = None
    set: str = ""

    @property
    def kind(self) -> str:
        return "edit" if self.sources else "t2i"


class BadLatent(MadiError):
    """A latent that cannot be trained on; its sample may be left out."""


class Latents:
    """Moments [2,C,h,w] by name, memory-mapped from the shards that an index names."""

    def __init__(self, index: Path):
        self.where = index
        self.names: dict[str, dict[str, str]] = {}
        self.shard_of: dict[str, str] = {}
        self.shapes: set[tuple[int, int]] = set()
        for row in shards.stream(index, LATENT):
            self.names.setdefault(row["sample_id"], {})[row["role"]] = row["name"]
            self.shard_of[row["name"]] = row["shard"]
            self.shapes.add((row["h"], row["w"]))
        self.files = {shard: _open(index.parent / shard) for shard in dict.fromkeys(self.shard_of.values())}

    def __getitem__(self, name: str) -> torch.Tensor:
        """float32. Errors: BadLatent naming the shard and the tensor."""
        where = self.where.parent / self.shard_of[name]
        try:
            found = self.files[self.shard_of[name]].get_tensor(name).float()
        except SafetensorError:
            raise BadLatent(f"no tensor {name}", where, f"what {self.where.name} names", "encode again") from None
        if not found.isfinite().all():
            raise BadLatent(f"tensor {name} is not finite", where, do="encode again")
        return found

    def of(self, sample_id: str) -> tuple[tuple[str, ...], str, str | None]:
        """Names of a sample's sources, in order, of its target and of its masked source. Errors: MadiError if there is
        no target."""
        roles = self.names.get(sample_id, {})
        if "target" not in roles:
            raise MadiError(f"no target latent of sample {sample_id}", self.where, "one of each sample", "encode again")
        count = sum(role.startswith("source_") for role in roles)
        return tuple(roles[f"source_{i + 1}"] for i in range(count)), roles["target"], roles.get("masked_1")


def sha(found: list[Example]) -> str:
    """SHA-256 over all that a training takes from its samples and plans."""
    return images.sha256(repr(found).encode())


def _open(path: Path):
    try:
        return safe_open(path, "pt")
    except (SafetensorError, OSError) as fault:
        raise MadiError(f"not a whole safetensors file ({fault})", path, do="encode the latents again") from None


def read(samples: Path, plans: Path | None, latents: Latents) -> list[Example]:
    """All training samples in the order of the file, with their plans where there are any (`plans` None: nowhere)."""
    planned = shards.stream(plans, PLAN) if plans is not None else ()
    told = {row["sample_id"]: tuple(row["plan"]) for row in planned if row["status"] == "ok"}
    rows = shards.read(samples, SAMPLE, ["sample_id", "instruction", "set"])
    if not rows:
        raise MadiError("no samples", samples, "at least one to train on")
    if len(latents.shapes) > 1:
        sizes = ", ".join(f"{w}x{h}" for h, w in sorted(latents.shapes))
        raise MadiError(f"latents of several sizes ({sizes})", latents.where, "one size a training", "prepare again")
    return [
        Example(key, row["instruction"], told.get(key, ()), *latents.of(key), row["set"])
        for row in rows
        for key in [row["sample_id"]]
    ]
