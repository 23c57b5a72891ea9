"""Encodes every source and target of a set once, so that trainings need neither pictures nor VAE.

N images, H, W: px; C: latent channels; h, w: latent sides. A latent is the mean of the VAE's posterior, scaled as the
model sees it, float32 [C, h, w]. Equal pictures share one tensor, named by their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from madi import images, samples, shards
from madi.config import DataSlice
from madi.errors import MadiError
from madi.progress import progress
from madi.records import LATENT
from madi.samples import Sample

BATCH = 16  # images a call of the VAE


def run(job: DataSlice, file: Path, base: Path, index: Path, out: Path) -> None:
    """Encode the samples in `file` by the VAE of `base`: tensors to `out`, what they are to `index`.

    Errors: MadiError naming file, row and column of an image that is unreadable or of another size than `job.size_px`.
    """
    import torch
    from safetensors.torch import save_file

    from madi.model.codec import Codec

    torch.set_num_threads(1)  # sums in one order: the same bytes on any machine, whatever --cores gives the job
    codec = Codec.load(base)
    found = samples.load(file).values()
    unique = {sha: image for sample in found for _, sha, image in pictures(sample, job.size_px)}
    tensors = encode(unique, codec.encode)
    with shards.atomic(out) as partial:
        save_file(tensors, partial)
    shards.write(index, (row for sample in found for row in rows(sample, tensors, out.name)), LATENT)


def pictures(sample: Sample, size_px: int) -> Iterator[tuple[str, str, np.ndarray]]:
    """(role, sha256 of the bytes, image uint8 [H,W,3]) of each source and of the target."""
    for role, data in encoded(sample):
        image = sample.target() if role == "target" else sample.source(int(role.removeprefix("source_")) - 1)
        if image.shape[:2] != (size_px, size_px):
            found, where = f"{image.shape[1]}x{image.shape[0]} px", f"{sample.file} row {sample.number} column {role}"
            raise MadiError(found, where, f"{size_px}x{size_px} px", "prepare the samples again")
        yield role, images.sha256(data), image


def encoded(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """(role, bytes) of each source and of the target."""
    for index, picture in enumerate(sample.row["sources"]):
        yield f"source_{index + 1}", picture["bytes"]
    if sample.row["target"]:
        yield "target", sample.row["target"]["bytes"]


def encode(unique: dict[str, np.ndarray], encoder: Callable) -> dict:
    """Latents [C,h,w] by name; `encoder` takes uint8 [N,H,W,3] and gives [N,C,h,w]."""
    names, latents = list(unique), {}
    for start in progress(range(0, len(names), BATCH), -(-len(names) // BATCH), "latents (batches)"):
        batch = names[start : start + BATCH]
        means = encoder(np.stack([unique[name] for name in batch]))
        latents |= {name: mean.float().contiguous().clone() for name, mean in zip(batch, means, strict=True)}
    return latents


def rows(sample: Sample, tensors: dict, shard: str) -> Iterator[dict]:
    """Index rows of a sample."""
    for role, data in encoded(sample):
        name = images.sha256(data)
        _, h, w = tensors[name].shape
        row = {"sample_id": sample.id, "role": role, "shard": shard, "name": name, "h": h, "w": w, "sha256": name}
        yield row
