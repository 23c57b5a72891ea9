"""Encodes every source and target of a set once, so that trainings need neither pictures nor VAE.

N images, H, W: px; C: latent channels; h, w: latent sides. Kept are the moments of the VAE's posterior, [2,C,h,w]: mean
and standard deviation, scaled as the model sees them, so that a training may sample anew at each use. Equal pictures of
a shard share one tensor, named by their bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from madi import images, samples, shards
from madi.config import LatentSlice
from madi.progress import progress
from madi.records import LATENT, SAMPLE
from madi.samples import Sample

PIXELS = 4 * 2**20  # a call of the VAE, and at most 16 images


def run(job: LatentSlice, file: Path, base: Path, part: int, index: Path, out: Path) -> None:
    """Encode shard `part` of the samples in `file` by the VAE of `base`: tensors to `out`, what they are to `index`.

    Shards are stretches of the set's order, equally long but for a sample; they may be empty. Pictures are made square,
    `job.size_px` a side, on the way. Errors: MadiError naming file, row and column of an unreadable image.
    """
    import torch
    from safetensors.torch import save_file

    from madi.model import device as devices
    from madi.model.codec import Codec

    devices.hold(job.device)
    torch.set_num_threads(1)  # sums in one order: the same bytes on any machine, whatever --cores gives the job
    codec = Codec.load(base)
    codec.vae.to(job.device)
    kind = getattr(torch, job.dtype)
    tensors: dict = {}
    found: list[tuple[str, str, str]] = []
    for batch in batches(pictures(mine(file, part, job.shards), job), job.size_px):
        found += [(key, role, name) for key, role, name, _ in batch]
        fresh = {name: image for _, _, name, image in batch if name not in tensors}
        tensors |= encoded(fresh, lambda pixels: codec.moments(pixels).to("cpu", kind))
    with shards.atomic(out) as partial:
        save_file(tensors, partial)
    sums = {name: checksum(tensor) for name, tensor in tensors.items()}
    shards.write(index, (row(*one, out.name, tensors, sums) for one in found), LATENT)


def mine(file: Path, part: int, count: int) -> Iterator[Sample]:
    """The samples of one stretch of `count`, streamed: of the set's files, its own row groups alone are read."""
    total = shards.count(file, SAMPLE)
    start, stop = (total * number // count for number in (part, part + 1))
    return progress(samples.stream(file, start, stop), stop - start, "latents")


def pictures(found: Iterable[Sample], job: LatentSlice) -> Iterator[tuple[str, str, str, np.ndarray]]:
    """(sample id, role, name, image uint8 [H,W,3]) of each source, of the target, and of the masked first source where
    trainings want it and the sample has a region."""
    for sample in found:
        for role, data in roles(sample):
            image = sample.target() if role == "target" else sample.source(int(role.removeprefix("source_")) - 1)
            yield sample.id, role, images.sha256(data), images.square(image, job.size_px)
        if job.masked and sample.row["region"] and sample.count:
            source = images.square(sample.source(), job.size_px)
            region = images.square(sample.region(), job.size_px, nearest=True)
            name = images.sha256(sample.row["sources"][0]["bytes"] + sample.row["region"]["bytes"])
            yield sample.id, "masked_1", name, images.blanked(source, region)


def roles(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """(role, bytes) of each source and of the target."""
    for index, picture in enumerate(sample.row["sources"]):
        yield f"source_{index + 1}", picture["bytes"]
    if sample.row["target"]:
        yield "target", sample.row["target"]["bytes"]


def batches(stream: Iterable[tuple], size_px: int) -> Iterator[list[tuple]]:
    """As many pictures as one call of the VAE takes."""
    size, batch = max(1, min(16, PIXELS // size_px**2)), []
    for one in stream:
        batch.append(one)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def encoded(fresh: dict[str, np.ndarray], encoder: Callable) -> dict:
    """Moments [2,C,h,w] by name; `encoder` takes uint8 [N,H,W,3] and gives [N,2,C,h,w]."""
    if not fresh:
        return {}
    moments = encoder(np.stack(list(fresh.values())))
    return {name: one.contiguous().clone() for name, one in zip(fresh, moments, strict=True)}


def checksum(tensor) -> str:
    """SHA-256 over a tensor's bytes."""
    import torch

    return images.sha256(tensor.contiguous().view(torch.uint8).numpy().tobytes())


def row(sample_id: str, role: str, name: str, shard: str, tensors: dict, sums: dict) -> dict:
    """One row of the index."""
    h, w = tensors[name].shape[-2:]
    return {"sample_id": sample_id, "role": role, "shard": shard, "name": name, "h": h, "w": w, "sha256": sums[name]}
