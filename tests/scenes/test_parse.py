"""The parser reads what the renderer drew, through blur and noise too, and says so where there is no scene."""

from dataclasses import replace
from itertools import product
from random import Random

import numpy as np
import pytest
from PIL import Image, ImageFilter

from madi.scenes.edits import scene_of
from madi.scenes.parse import FORMS, LOOKS, read
from madi.scenes.render import INK, lit, render
from madi.scenes.world import COLOURS, LIGHTS, STYLES, Scene, Thing


def scenes(count: int, seed: int) -> list[Scene]:
    rng = Random(seed)
    return [scene_of(rng) for _ in range(count)]


def fives(forms):
    return [forms[first : first + 5] for first in range(0, len(forms), 5)]


def worn(image: np.ndarray, seed: int) -> np.ndarray:
    """Much what a small VAE does to a picture: blur, a tint, noise, few levels of colour."""
    rng = np.random.default_rng(seed)
    soft = np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(1.0)), np.float32) / 255
    soft = soft * (1 + rng.normal(0, 0.008, 3)) + rng.normal(0, 0.008, 3) + rng.normal(0, 0.02, soft.shape)
    return ((np.round(soft * 24) / 24).clip(0, 1) * 255).astype(np.uint8)


def test_random_scenes_are_read_exactly():
    for scene in scenes(300, seed=1):
        reading = read(render(scene))
        assert reading.scene == scene and reading.residual == 0 and not reading.unclear


def test_every_thing_is_read_under_every_style_and_light():
    rng = Random(2)
    for style, light in product(STYLES, LIGHTS):
        forms = rng.sample(FORMS[1:], 45)
        for five in fives(forms):
            cells = rng.sample(range(9), len(five))
            look = rng.choice([look for look in LOOKS if look[2:] == (style, light)])
            scene = Scene(*look, tuple(replace(form, cell=cell) for form, cell in zip(five, cells)))
            assert read(render(scene)).scene == scene


def test_each_form_is_read_at_least_once():
    rng = Random(3)
    for five in fives(FORMS[1:]):
        cells = rng.sample(range(9), len(five))
        scene = Scene("grass", 1, "plain", "day", tuple(replace(form, cell=c) for form, c in zip(five, cells)))
        assert read(render(scene)).scene == scene


def test_all_looks_and_full_grids_are_read():
    rng = Random(4)
    for look in LOOKS:
        count = rng.choice((0, 9))
        scene = Scene(*look, tuple(replace(rng.choice(FORMS[1:]), cell=cell) for cell in range(count)))
        assert read(render(scene)).scene == scene


def test_worn_pictures_are_read():
    right = [read(worn(render(scene), seed)).scene == scene for seed, scene in enumerate(scenes(200, seed=5))]
    assert np.mean(right) >= 0.99


def test_a_thing_that_its_outline_runs_into_keeps_its_colour():
    looks = [look for look in LOOKS if look[2] == "comic"][::4]
    for look, colour in product(looks, COLOURS):
        scene = Scene(*look, (Thing(4, "moon", colour, "small"),))
        drawn, bare = render(scene).astype(np.float32), render(scene.without(4))
        inked = drawn + 0.2 * (drawn != bare) * (255 * lit(np.float32(INK), look[3]) - drawn)
        assert read(inked.round().astype(np.uint8)).scene.at(4).colour == colour


@pytest.mark.parametrize("size", [96, 256])
def test_pictures_of_other_sizes_are_read(size):
    right = [read(render(scene, size)).scene == scene for scene in scenes(20, seed=size)]
    assert np.mean(right) >= 0.95


def test_what_is_no_scene_is_unreadable():
    rng = np.random.default_rng(6)
    noise = rng.integers(0, 256, (128, 128, 3)).astype(np.uint8)
    stripes = np.where((np.arange(128) // 9 % 2)[None, :, None], [255, 0, 0], [0, 255, 255]).astype(np.uint8)
    stripes = np.broadcast_to(stripes, (128, 128, 3))
    upside_down = [render(scene)[::-1, :, ::-1] for scene in scenes(2, seed=7)]
    photo = (np.outer(np.arange(128) % 64, np.arange(128) % 64)[..., None] * [0.06, 0.01, 0.04]).astype(np.uint8)
    for image in (noise, stripes, photo, *(image // 2 + noise // 2 for image in upside_down)):
        reading = read(image)
        assert not reading.readable and reading.scene is None and reading.residual > 0.1


def test_a_blob_is_unclear_and_leaves_the_rest_readable():
    scene = Scene("snow", 0, "plain", "day", tuple(replace(FORMS[20], cell=cell) for cell in (0, 8)))
    image = render(scene).copy()
    rng = np.random.default_rng(8)
    image[44:84, 44:84] = rng.integers(0, 256, (40, 40, 3))
    reading = read(image)
    assert reading.unclear == (4,) and reading.scene == scene
    assert max(reading.residuals) == reading.residuals[4]
