"""Distances between pixels, on RGB in [0, 1]."""

from __future__ import annotations

import numpy as np


def l1(edit: np.ndarray, reference: np.ndarray) -> float:
    """Mean absolute difference of two uint8 images [H,W,3] of one size."""
    return float(np.abs(_difference(edit, reference)).mean())


def l2(edit: np.ndarray, reference: np.ndarray) -> float:
    """Mean squared difference of two uint8 images [H,W,3] of one size (MagicBrush's L2: no root)."""
    return float((_difference(edit, reference) ** 2).mean())


def _difference(edit, reference):
    if edit.shape != reference.shape:
        raise ValueError(f"images of {edit.shape} and {reference.shape}: resize the edit to the reference first")
    return (edit.astype(np.float64) - reference.astype(np.float64)) / 255
