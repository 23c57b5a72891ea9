"""Checks all latents of a set before any training reads them, and joins the shards' indices into one.

C: latent channels; h, w: latent sides.
"""

from __future__ import annotations

from pathlib import Path

from madi import samples, shards
from madi.config import LatentSlice
from madi.data.latents import checksum
from madi.errors import MadiError
from madi.progress import progress
from madi.records import LATENT

AGAIN = "delete it and its .parquet, then run `snakemake --cores all data` with your --configfile"


def run(job: LatentSlice, file: Path, parts: list[Path], index: Path, report: Path) -> None:
    """Hold the shards' indices `parts`, each with its tensors beside it, against the samples in `file`; write `index`.

    Errors: MadiError naming the shard and the tensor that is missing, misshapen, not finite or of another checksum, or
    the sample that lacks one.
    """
    rows, tensors, size = [], 0, 0
    for part in progress(parts, len(parts), "check latents (shards)"):
        found = shards.read(part, LATENT)
        names = check_shard(part.parent, found)
        tensors, size = tensors + len(names), size + sum(names.values())
        folder = part.parent.relative_to(index.parent)
        rows += [row | {"shard": str(folder / row["shard"])} for row in found]
    complete(job, file, {(row["sample_id"], row["role"]) for row in rows}, index)
    shards.write(index, sorted(rows, key=lambda row: (row["sample_id"], row["role"])), LATENT)
    shards.write_json(report, {"shards": len(parts), "pictures": len(rows), "tensors": tensors, "bytes": size})


def check_shard(folder: Path, rows: list[dict]) -> dict[str, int]:
    """Bytes of each tensor by name, all of them whole."""
    from safetensors import SafetensorError, safe_open

    sizes: dict[str, int] = {}
    for shard in dict.fromkeys(row["shard"] for row in rows):
        mine = {row["name"]: row for row in rows if row["shard"] == shard}
        try:
            with safe_open(folder / shard, "pt") as file:
                for name, row in mine.items():
                    tensor = file.get_tensor(name)
                    fault = fault_of(tensor, row)
                    if fault:
                        who = f"{row['role']} of {row['sample_id']} (tensor {name[:12]})"
                        raise MadiError(f"{who} {fault}", folder / shard, do=AGAIN)
                    sizes[name] = tensor.numel() * tensor.element_size()
        except (SafetensorError, OSError) as fault:
            raise MadiError(f"not a whole safetensors file ({fault})", folder / shard, do=AGAIN) from None
    return sizes


def fault_of(tensor, row: dict) -> str | None:
    """What is wrong with the moments [2,C,h,w] of an index row."""
    if tensor.ndim != 4 or tensor.shape[0] != 2 or tuple(tensor.shape[2:]) != (row["h"], row["w"]):
        return f"is {'x'.join(map(str, tensor.shape))}, not 2 x channels x {row['h']} x {row['w']}"
    if not tensor.isfinite().all():
        return "is not finite"
    if checksum(tensor) != row["sha256"]:
        return "has another checksum than its index says"
    return None


def complete(job: LatentSlice, file: Path, found: set[tuple[str, str]], index: Path) -> None:
    """Errors: MadiError naming a sample and a role without a latent, or a latent of no sample."""
    wanted = set()
    for key, sources, target, region in samples.outlines(file):
        wanted |= {(key, f"source_{number + 1}") for number in range(sources)}
        wanted |= {(key, "target")} if target else set()
        wanted |= {(key, "masked_1")} if job.masked and region and sources else set()
    for what, some in (("no latent", wanted - found), ("a latent of no sample", found - wanted)):
        if some:
            told = ", ".join(f"{sample} {role}" for sample, role in sorted(some)[:3])
            raise MadiError(f"{what}: {told} ({len(some)} in all)", index, f"{len(wanted)} of {file}", AGAIN)
