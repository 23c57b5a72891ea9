"""What all models of the score stage share: checked folders, a device that is there, and float32 throughout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from madi.errors import MadiError
from madi.shards import read_json


@dataclass(frozen=True)
class Form:
    """A library and the two files that its folders hold."""

    library: str
    config: str
    weights: str


CLIP = Form("open_clip", "open_clip_config.json", "open_clip_model.safetensors")
DINO = Form("timm", "config.json", "model.safetensors")


def check(folder: Path, form: Form) -> None:
    """Errors: MadiError if the folder or a file in it is missing."""
    expected = f"the {form.library} folder of a scorer: {form.config} and {form.weights}"
    if not folder.is_dir():
        raise MadiError("a file" if folder.exists() else "no such folder", folder, expected)
    for name in (form.config, form.weights):
        if not (folder / name).is_file():
            raise MadiError(f"{name} is missing", folder, expected)


def of_small_world(folder: Path | str | None) -> bool:
    """Whether a model was trained on the small world alone, by its provenance: `madi pretrain` writes it."""
    path = Path(folder or "", "provenance.json")
    made = read_json(path) if folder and path.is_file() else {}
    return isinstance(made, dict) and str(made.get("command", "")).startswith("madi pretrain")


@contextmanager
def reading(folder: Path, form: Form) -> Iterator[None]:
    """Turns what the library raises while it reads a folder into one line."""
    check(folder, form)
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError) as fault:
        reason = " ".join(str(fault).split())[:300]
        raise MadiError(reason, folder, f"{form.library}'s configuration and weights that fit it") from fault


def device(name: str):
    """The torch device called `name`. Errors: MadiError for `cuda` where there is none."""
    import torch

    from madi.model.device import hold

    hold(name)
    return torch.device(name)


@contextmanager
def exact() -> Iterator[None]:
    """Convolutions in float32 on a GPU too: cuDNN's default, TF32, keeps 10 bits, and scores would tell the device."""
    import torch

    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
