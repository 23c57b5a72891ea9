"""Pictures are shrunk and cropped as officially, and keep their exact pixels where they are small enough."""

import numpy as np
import pytest
from PIL import Image

from madi.omnigen.sizes import cropped, fitted


def picture(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# Width and height before and after, at max_input_image_size 1024: what the official processor (d475201) gives.
OFFICIAL = [
    ((640, 427), (640, 416)),
    ((427, 640), (416, 640)),
    ((500, 333), (496, 320)),
    ((1024, 1024), (1024, 1024)),
    ((1025, 700), (1024, 688)),
    ((2560, 1708), (1024, 672)),
    ((4000, 3000), (1024, 768)),
    ((3090, 20), (2336, 16)),
    ((31, 17), (16, 16)),
    ((10, 40), (16, 64)),
]


@pytest.mark.parametrize(("before", "after"), OFFICIAL, ids=str)
def test_sizes_are_the_official_ones(before, after):
    made = fitted(picture(*before), 1024)
    assert (made.shape[1], made.shape[0]) == after


@pytest.mark.parametrize(("width", "height"), [(640, 427), (33, 50), (1023, 1009), (48, 48)])
def test_what_is_small_enough_keeps_its_exact_pixels(width, height):
    image = picture(width, height)
    made = fitted(image, 1024)
    top, left = height % 16 // 2, width % 16 // 2
    assert (made == image[top : top + made.shape[0], left : left + made.shape[1]]).all()
    assert height - made.shape[0] < 16 and width - made.shape[1] < 16


def test_a_large_picture_is_halved_by_area_first():
    image = picture(2100, 2060)
    by_area = np.asarray(Image.fromarray(image).resize((1050, 1030), Image.Resampling.BOX))
    rest = Image.fromarray(by_area).resize((1024, 1004), Image.Resampling.BICUBIC)
    assert (fitted(image, 1024) == cropped(np.asarray(rest))).all()


def test_one_pixel_and_one_thread_do_not_end_anything():
    assert fitted(picture(1, 1), 1024).shape == (16, 16, 3)
    assert fitted(picture(9000, 1), 1024).shape[0] == 16
