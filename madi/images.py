"""Pictures as bytes and arrays: bounded decoding, one PNG encoder, hashes, and the sheet that a person looks at.

H, W: height and width in px. An image is uint8 [H, W, 3], RGB.
"""

import base64
import hashlib
import io
import struct
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from madi.errors import MadiError

FORMATS = ("PNG", "JPEG", "WEBP")
# What Pillow's decoders raise on damaged bytes.
DAMAGED = (OSError, ValueError, SyntaxError, EOFError, IndexError, TypeError, struct.error)
MAX_PIXELS = 64 * 2**20  # 64 Mpx: 8192 x 8192, past any benchmark's picture
OTHERS = {b"GIF8": "GIF", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF", b"\0\0\1\0": "ICO"}
COLOURED = 16  # of 255 between the channels of a pixel: more than JPEG makes of a grey picture
PURE_WHITE = 250  # of 255 in every channel
MOST = f"at most {MAX_PIXELS:,} px in all, as 8192x8192"


def decode(data: bytes, where: object, least: int | None = None) -> np.ndarray:
    """Image uint8 [H, W, 3] of encoded bytes, upright (EXIF) and RGB; of an animation its first picture.

    least: a JPEG may be read smaller, no side under this, which is several times quicker and enough to compare
    pictures; it is read to its end all the same.

    Errors: MadiError naming `where` if the bytes are no image, are cut short, or hold more than 64 Mpx (told from the
    header, before any pixel is decoded).
    """

    def pixels(image: Image.Image) -> np.ndarray:
        if least is not None:
            image.draft("RGB", (least, least))
        return np.array(_plain(ImageOps.exif_transpose(image)))  # a copy: torch wants to own its memory

    return _read(data, where, pixels)


def region(data: bytes, where: object) -> np.ndarray:
    """Region uint8 [H, W, 3] of an encoded mask: 255 where to edit, 0 elsewhere, and nothing between.

    A mask with transparent pixels (MagicBrush: the source with a hole in it) marks the region by its alpha, whatever
    the picture shows. Any other mask marks it by white: at least half bright in a grey mask (UltraEdit), pure white in
    a coloured picture, which is the source with the region painted over.

    Errors: as `decode`.
    """
    return _read(data, where, lambda image: _marked(ImageOps.exif_transpose(image)))


def _marked(image: Image.Image) -> np.ndarray:
    if image.has_transparency_data:
        alpha = np.asarray(image.convert("RGBA"))[..., 3]
        if alpha.min() < 128:
            return _white(alpha < 128)
        image = image.convert("RGBA").convert(
            "RGB"
        )  # opaque enough: its colours, not what a white ground makes of them
    shown = np.asarray(_plain(image))
    if np.ptp(shown, axis=2).max() > COLOURED:
        return _white(shown.min(axis=2) >= PURE_WHITE)
    return _white(shown.mean(axis=2) >= 128)


def _white(where: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3], 255 where [H, W] is true."""
    return np.repeat(where[..., None], 3, axis=2).astype(np.uint8) * 255


def _read(data: bytes, where: object, pixels: Callable[[Image.Image], np.ndarray]) -> np.ndarray:
    """What `pixels` makes of an opened image. Errors: as `decode`."""
    if not data:
        raise MadiError("no image bytes", where, "an encoded image")
    try:
        image = Image.open(io.BytesIO(data), formats=FORMATS)
        if image.width * image.height > MAX_PIXELS:
            raise MadiError(f"image of {image.width}x{image.height} px", where, MOST, "make it smaller")
        return pixels(image)
    except Image.DecompressionBombError as fault:  # Pillow's own limit, past ours
        raise MadiError(str(fault).split(" exceeds")[0], where, MOST, "make it smaller") from None
    except DAMAGED as fault:
        reason = str(fault).split("<")[0].strip() or type(fault).__name__
        kind = next((f"a {kind}, " for start, kind in OTHERS.items() if data.startswith(start)), "")
        what, do = (
            f"unreadable image ({kind}{reason}, {len(data)} bytes)",
            "convert it, or fetch it again if it is broken",
        )
        raise MadiError(what, where, "a PNG, JPEG or WebP image", do) from None


def _plain(image: Image.Image) -> Image.Image:
    """RGB: 16 bits a grey value scaled to 8 (Pillow alone would cut them off), what is transparent on white."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).clip(0, 65535) / 257).round().astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        over = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", over.size, "white"), over).convert("RGB")
    return image.convert("RGB")


def encode_png(image: np.ndarray) -> bytes:
    """PNG bytes of uint8 [H, W, 3] or [H, W]; equal arrays give equal bytes."""
    if image.dtype != np.uint8:
        raise MadiError(f"image of {image.dtype}", "encode_png", "uint8")
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image)).save(file, format="PNG", compress_level=6)
    return file.getvalue()


def picture(image: np.ndarray, path: str | None = None) -> dict:
    """The record's struct of an image: {"bytes": PNG, "path": name or None}."""
    return {"bytes": encode_png(image), "path": path}


def sha256(data: bytes) -> str:
    """64 hex digits of the bytes."""
    return hashlib.sha256(data).hexdigest()


def resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """uint8 [height, width, 3], bicubic; the same array where nothing changes."""
    if image.shape[:2] == (height, width):
        return image
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def square(image: np.ndarray, side: int, nearest: bool = False) -> np.ndarray:
    """uint8 [side,side,3]: scaled until the short side fits, then its middle, as OmniGen's own training does.

    nearest: for regions, whose white must stay white. The same array where nothing changes.
    """
    if image.shape[:2] == (side, side):
        return image
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return np.asarray(ImageOps.fit(Image.fromarray(image), (side, side), how))


def blanked(image: np.ndarray, region: np.ndarray) -> np.ndarray:
    """The image uint8 [H,W,3] in mid-grey where its region uint8 [H,W,3], as `region` reads it, is white."""
    return np.where(region == 255, np.uint8(128), image)


def phash(image: np.ndarray) -> str:
    """Perceptual hash, 16 hex digits: which of the 64 lowest cosine frequencies of the grey picture pass their median.

    Near-duplicates (recompressed, rescaled) differ in few bits; different pictures may agree: a match is a candidate.
    """
    from scipy.fft import dctn

    grey = Image.fromarray(image).convert("L").resize((32, 32), Image.Resampling.LANCZOS)
    low = dctn(np.asarray(grey, dtype=np.float64), norm="ortho")[:8, :8].ravel().round(6)
    bits = low > np.median(low[1:])  # the mean level (first) says nothing about what is in the picture
    return np.packbits(bits).tobytes().hex()


def contact_sheet(
    rows: list[list[np.ndarray | None]], labels: list[str], columns: list[str] = (), cell: int = 128, form: str = "JPEG"
) -> bytes:
    """A grid as a file's bytes: a label above each row, a name above each column, a grey cell for a missing picture.

    cell: side in px that every picture is shown at. form: JPEG or PNG.
    """
    font = ImageFont.load_default(11)
    gap, line = 4, 16
    across = max([len(row) for row in rows] + [len(columns), 1])
    sheet = Image.new("RGB", (across * (cell + gap) + gap, line + max(len(rows), 1) * (cell + line + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for index, name in enumerate(columns):
        draw.text((gap + index * (cell + gap), 2), name[: cell // 6], fill="black", font=font)
    for number, (row, label) in enumerate(zip(rows, labels, strict=True)):
        top = line + number * (cell + line + gap)
        draw.text((gap, top), label[: sheet.width // 6], fill="dimgrey", font=font)
        for index, image in enumerate(row):
            tile = Image.new("RGB", (cell, cell), "lightgrey") if image is None else _thumbnail(image, cell)
            sheet.paste(tile, (gap + index * (cell + gap), top + line))
    file = io.BytesIO()
    sheet.save(file, format=form, quality=88)
    return file.getvalue()


def thumbnail_uri(image: np.ndarray, side: int) -> str:
    """A small JPEG of an image uint8 [H,W,3], at most `side` px a side, as a data URI for a page."""
    file = io.BytesIO()
    ImageOps.contain(Image.fromarray(image), (side, side)).save(file, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode()


def _thumbnail(image: np.ndarray, side: int) -> Image.Image:
    return ImageOps.pad(Image.fromarray(image), (side, side), Image.Resampling.BICUBIC, color="white")
