"""Where a model runs: held against what this machine has before anything is loaded."""

from __future__ import annotations

import torch

from madi.errors import MadiError


def hold(device: str) -> None:
    """Errors: MadiError for `cuda` where there is none."""
    if device == "cuda" and not torch.cuda.is_available():
        raise MadiError("no CUDA device here", "device cuda", "a machine with a GPU", "take device cpu")
