"""Pictures as a model is shown them: the bytes that there are, unless too large or of a kind it may not know."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from madi import images
from madi.chat.endpoint import KINDS

ORIENTATION = 0x0112  # in EXIF: how a picture is to be turned
MOST_PX = 1568  # px of the longer side: what endpoints scale down to themselves


def shown(data: bytes, where: str, most: int = MOST_PX) -> bytes:
    """PNG, JPEG or WebP of at most `most` px a side. Errors: MadiError naming `where` for what is no picture."""
    try:
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as head:  # its head alone
            plain = head.mode in ("RGB", "L") and head.getexif().get(ORIENTATION, 1) == 1
            small = max(head.size) <= most
    except (OSError, ValueError, Image.DecompressionBombError):
        images.decode(data, where)  # says what is wrong
        raise
    if small and plain and any(data.startswith(start) for start in KINDS):
        return data
    pixels = images.decode(data, where)
    height, width = pixels.shape[:2]
    scale = min(1.0, most / max(width, height))
    fitted = images.resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
    return images.picture(np.asarray(fitted))["bytes"]
