"""Bytes and files that a scale leaves behind. Sizes of pictures and rows were measured on the demo; photographs' are
assumed, and say so."""

from __future__ import annotations

from pathlib import Path

from madi.config import Config
from madi.cost.model import parameters
from madi.cost.shapes import Net, Vae

SCENE, SCENE_PNG = 0.36, 0.75  # bytes a pixel: of the demo's samples, of edits of them as PNG
PHOTO, PHOTO_PNG = 0.5, 1.5  # assumed: of photographs as they are published, of edits of them as PNG
PUBLISHED_PX = 512  # assumed: the side of a published picture
ROW = 1600  # of an edit's scores, answers and lineage, measured on the demo
ASKED = 1500  # assumed: of a kept answer of a model
REPORT = 16e6  # tables, figures and the report, measured on the demo
SHARD = 256e6  # of a set of samples, at most
STATE = 12  # of a trained number: float32 weights and both moments
BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
OF_JOB = 3  # files beside a job's outputs: its slice, its log, its times
OF_RUN = 15  # of a training's weights folder, tables and logs
OF_TABLES = 120  # tables in three forms, figures in two


def samples(pictures: int, scenes: bool, px: int) -> tuple[float, int]:
    """(bytes, files) of a set of so many pictures."""
    size = pictures * (SCENE * px**2 if scenes else PHOTO * PUBLISHED_PX**2)
    return size, 2 + 1 + int(size // SHARD) + OF_JOB


def latent(vae: Vae, px: int, dtype: str) -> int:
    """Of one picture: mean and deviation."""
    side = px // 2 ** (len(vae.block_out_channels) - 1)
    return 2 * vae.latent_channels * side**2 * BYTES[dtype]


def weights(folder: str, net: Net) -> float:
    """Of a weights folder: as it lies there, else of its numbers in bfloat16."""
    found = sum(file.stat().st_size for file in Path(folder).rglob("*.safetensors"))
    return found or 2.0 * parameters(net)


def edit(config: Config, scenes: bool) -> float:
    """Of one edit, with its scores and answers."""
    return (SCENE_PNG if scenes else PHOTO_PNG) * config.size_px**2 + ROW
