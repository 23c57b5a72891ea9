import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from madi import images
from madi.errors import MadiError
from madi.scenes.render import render
from madi.scenes.world import Scene, Thing


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, format=kind, **options)
    return file.getvalue()


def distance(a, b):
    return bin(int(images.phash(a), 16) ^ int(images.phash(b), 16)).count("1")


def test_png_keeps_every_pixel_and_equal_pictures_give_equal_bytes(picture):
    data = images.encode_png(picture)
    assert (images.decode(data, "x") == picture).all()
    assert data == images.encode_png(picture.copy(order="F"))


def test_decode_gives_rgb_upright(picture):
    turned = Image.fromarray(picture)
    exif = turned.getexif()
    exif[0x0112] = 6  # shown turned by 90 degrees
    assert (images.decode(encoded(turned, exif=exif), "x") == np.rot90(picture, -1)).all()
    for mode in ("RGBA", "L", "P", "LA"):
        assert images.decode(encoded(turned.convert(mode)), "x").shape == (20, 30, 3)


HOLE = np.zeros((20, 30), bool)
HOLE[5:12, 8:20] = True


def masks(photo):
    """The same region in every form that sets publish one in, by name."""
    grey = Image.fromarray((HOLE * 255).astype(np.uint8))
    noisy = np.where(HOLE, 200, 60).astype(np.uint8)
    hidden = np.dstack([photo, np.where(HOLE, 0, 255).astype(np.uint8)])
    soft = np.dstack([photo, np.where(HOLE, 40, 230).astype(np.uint8)])
    palette = Image.fromarray(photo).quantize(16)
    index = np.asarray(palette) + 1
    index[HOLE] = 0
    indexed = Image.fromarray(index)
    indexed.putpalette([9, 9, 9, *palette.getpalette()])
    opaque = np.dstack([np.asarray(grey.convert("RGB")), np.full(HOLE.shape, 255, np.uint8)])
    painted = np.where(HOLE[..., None], 255, photo // 2 + 110).astype(np.uint8)
    return {
        "grey": encoded(grey),
        "one bit": encoded(grey.convert("1")),
        "16 bits": encoded(Image.fromarray(np.where(HOLE, 65535, 0).astype(np.uint16))),
        "JPEG": encoded(Image.fromarray(noisy).convert("RGB"), "JPEG"),
        "RGBA, transparent where to edit": encoded(Image.fromarray(hidden)),
        "half transparent": encoded(Image.fromarray(soft)),
        "palette": encoded(indexed.convert("P"), transparency=0),
        "WebP": encoded(Image.fromarray(hidden), "WEBP", lossless=True),
        "RGBA, black and white": encoded(Image.fromarray(opaque)),
        "the source, painted white": encoded(Image.fromarray(painted)),
    }


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize("form", list(masks(np.zeros((20, 30, 3), np.uint8))))
def test_a_region_is_the_same_in_every_form_and_over_any_picture(picture, form, bright):
    photo = picture // 4 + (190 if bright else 0)
    region = images.region(masks(photo)[form], "x")
    assert region.dtype == np.uint8 and region.shape == (20, 30, 3) and set(np.unique(region)) == {0, 255}
    wrong = (region[..., 0] == 255) != HOLE
    assert not wrong.any() if form != "JPEG" else wrong.mean() < 0.02
    assert (images.blanked(photo, region)[~HOLE] == photo[~HOLE]).all() or form == "JPEG"


def test_a_region_of_the_whole_picture_is_white_and_damage_is_named(picture):
    gone = np.dstack([picture, np.zeros((20, 30), np.uint8)])
    assert (images.region(encoded(Image.fromarray(gone)), "x") == 255).all()
    with pytest.raises(MadiError, match="^s.parquet row 1 column region: unreadable image"):
        images.region(b"no image", "s.parquet row 1 column region")


@pytest.mark.parametrize("data", [b"", b"no image", b"\x89PNG\r\n\x1a\n", None])
def test_what_is_no_image_is_named(data):
    with pytest.raises(MadiError, match="samples.parquet row 3 column target: .*image"):
        images.decode(data, "samples.parquet row 3 column target")


def test_a_cut_image_is_named_wherever_it_is_cut(picture):
    for kind in ("PNG", "JPEG", "WEBP"):
        data = encoded(Image.fromarray(picture), kind)
        for cut in (10, len(data) // 2, len(data) - 40):
            with pytest.raises(MadiError, match="^here: "):
                images.decode(data[:cut], "here")


def test_a_damaged_chunk_is_named(picture):
    data = encoded(Image.fromarray(picture), "PNG")
    empty = b"\0\0\0\0iCCP" + zlib.crc32(b"iCCP").to_bytes(4, "big")
    with pytest.raises(MadiError, match="^here: unreadable"):
        images.decode(data[:-12] + empty + data[-12:], "here")


def test_a_bomb_is_refused_from_its_header():
    for side in (8193, 20000):  # the second is past what Pillow itself opens
        header = b"IHDR" + struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
        with pytest.raises(MadiError, match="expected at most 67,108,864 px"):
            images.decode(data + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT")), "here")


def test_other_formats_are_refused_whatever_they_hold(picture):
    for kind in ("ICO", "BMP", "TIFF", "GIF"):
        with pytest.raises(MadiError, match="expected a PNG, JPEG or WebP image"):
            images.decode(encoded(Image.fromarray(picture), kind), "here")


def test_only_bytes_are_encoded(picture):
    with pytest.raises(MadiError, match="float64; expected uint8"):
        images.encode_png(picture / 255)


def test_phash_is_kept_by_rescaling_and_recompression_and_not_by_another_picture():
    things = (Thing(0, "star", "red", "large"), Thing(5, "moon", "blue", "large"))
    scene = render(Scene("grass", 0, "plain", "day", things), 128)
    again = images.decode(encoded(Image.fromarray(scene), "JPEG", quality=70), "x")
    assert distance(scene, images.resize(scene, 96, 96)) <= 6
    assert distance(scene, again) <= 6
    assert distance(scene, render(Scene("night", 2, "neon", "fog", (Thing(7, "heart", "pink", "large"),)), 128)) > 12
    assert len(images.phash(scene)) == 16


def test_resize_keeps_range_and_shape(picture):
    assert images.resize(picture, 20, 30) is picture
    assert images.resize(picture, 7, 11).shape == (7, 11, 3)


def test_contact_sheet_shows_each_picture_in_its_place():
    red, blue = (np.full((64, 64, 3), c, np.uint8) for c in ((220, 20, 20), (20, 20, 220)))
    sheet = images.contact_sheet([[red, blue], [None, red]], ["one", "two"], ["source", "edit"], cell=64)
    shown = images.decode(sheet, "sheet")
    for row, column, colour in [(0, 0, red), (0, 1, blue), (1, 1, red)]:
        y, x = 16 + row * 84 + 16 + 32, 4 + column * 68 + 32
        assert np.abs(shown[y, x].astype(int) - colour[0, 0]).max() < 16
    assert np.ptp(shown[16 + 84 + 16 + 32, 4 + 32].astype(int)) < 8  # grey: nothing to show
    assert images.contact_sheet([], []) == images.contact_sheet([], [])
