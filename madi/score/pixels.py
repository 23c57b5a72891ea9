"""Distances between pixels, on RGB in [0, 1]. Sums are of whole numbers, so that their order changes no digit."""

from __future__ import annotations

import numpy as np


def l1(edit: np.ndarray, reference: np.ndarray) -> float:
    """Mean absolute difference of two uint8 images [H,W,3] of one size."""
    return float(np.abs(_difference(edit, reference)).sum(dtype=np.int64) / edit.size / 255)


def l2(edit: np.ndarray, reference: np.ndarray) -> float:
    """Mean squared difference of two uint8 images [H,W,3] of one size (MagicBrush's L2: no root)."""
    difference = _difference(edit, reference).astype(np.int32)
    return float((difference * difference).sum(dtype=np.int64) / edit.size / 255**2)


def _difference(edit, reference):
    if edit.shape != reference.shape:
        raise ValueError(f"images of {edit.shape} and {reference.shape}: resize the edit to the reference first")
    return edit.astype(np.int16) - reference.astype(np.int16)
