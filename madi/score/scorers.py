"""A scorer's folder, held against its library's own form before and while it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError

from madi.errors import MadiError


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


@contextmanager
def reading(folder: Path, form: Form) -> Iterator[None]:
    """Turns what the library raises while it reads a folder into one line."""
    check(folder, form)
    try:
        yield
    except (RuntimeError, ValueError, KeyError, TypeError, OSError, SafetensorError) as fault:
        reason = " ".join(str(fault).split())[:300]
        raise MadiError(reason, folder, f"{form.library}'s configuration and weights that fit it") from fault
