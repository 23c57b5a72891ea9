"""One picture of several, as IDEA-Bench's judge is shown them. Images are uint8 [H,W,3]; sizes are in px."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 20
SIDE = 512  # of the picture of a number


def stitched(given: Sequence[np.ndarray], made: Sequence[np.ndarray]) -> np.ndarray:
    """Two rows on white, what was given above what was made, pictures and rows GAP apart. What was given is scaled to
    the height of the first picture that was made."""
    height = made[0].shape[0]
    rows = [row([scaled(image, height) for image in given])] if given else []
    rows.append(row(made))
    whole = canvas(sum(one.shape[0] for one in rows) + GAP * (len(rows) - 1), max(one.shape[1] for one in rows))
    top = 0
    for one in rows:
        whole[top : top + one.shape[0], : one.shape[1]] = one
        top += one.shape[0] + GAP
    return whole


def row(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Pictures side by side, tops level."""
    height, width = max(p.shape[0] for p in pictures), sum(p.shape[1] for p in pictures) + GAP * (len(pictures) - 1)
    whole, left = canvas(height, width), 0
    for picture in pictures:
        whole[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] + GAP
    return whole


def scaled(image: np.ndarray, height: int) -> np.ndarray:
    """The picture at a height, its aspect kept, its width rounded down."""
    width = int(height * (image.shape[1] / image.shape[0]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def digits(number: int) -> np.ndarray:
    """A picture of a number, black on white."""
    image = Image.new("RGB", (SIDE, SIDE), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(SIDE // 2)
    draw.text((SIDE / 2, SIDE / 2), str(number), "black", font, anchor="mm")
    return np.asarray(image)


def jpeg(image: np.ndarray) -> bytes:
    """JPEG at Pillow's own quality, as the authors save it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG")
    return file.getvalue()


def canvas(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 255, np.uint8)
