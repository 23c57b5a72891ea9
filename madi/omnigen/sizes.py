"""The size at which OmniGen is shown a picture: shrunk to a longest side, then cropped to whole tokens.

As the official processor does it (its `max_input_image_size` and crops of up to 15 px): a picture that is small enough
keeps its exact pixels, but for what the crop takes off. H, W: height and width in px; an image is uint8 [H,W,3].
"""

from __future__ import annotations

import numpy as np
from PIL import Image

STEP = 16  # px: a token is 2x2 latents of 8x8 px


def fitted(image: np.ndarray, max_side: int, step: int = STEP) -> np.ndarray:
    """The image with no side longer than `max_side` and sides in multiples of `step`, both in px.

    A picture narrower than `step` is enlarged until it is that wide, which may take its other side past `max_side`.
    """
    return cropped(shrunk(image, max_side, step), step)


def shrunk(image: np.ndarray, max_side: int, step: int = STEP) -> np.ndarray:
    """The image scaled to at most `max_side`: halved by area while both sides are twice as long, the rest bicubic."""
    picture = Image.fromarray(image)
    while min(picture.size) >= 2 * max_side:
        picture = picture.resize(tuple(side // 2 for side in picture.size), Image.Resampling.BOX)
    for scale in (min(1.0, max_side / max(picture.size)), None):
        scale = scale or max(1.0, step / min(picture.size))  # the second time, by the size it has then
        if scale != 1.0:
            sides = tuple(max(1, round(side * scale)) for side in picture.size)
            picture = picture.resize(sides, Image.Resampling.BICUBIC)
    return image if picture.size == (image.shape[1], image.shape[0]) else np.asarray(picture)


def cropped(image: np.ndarray, step: int = STEP, most: int | None = None) -> np.ndarray:
    """The middle of the image, sides cut to multiples of `step` px, and to `most` px where that is given.

    Of an odd number of px to cut off, the larger part comes off the bottom and the right.
    """
    height, width = (min(side, most or side) // step * step for side in image.shape[:2])
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    return image[top : top + height, left : left + width]
