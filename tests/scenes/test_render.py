"""The renderer: deterministic, any size, quick, and no thing outside its window."""

import time
from random import Random

import numpy as np
import pytest

from madi.scenes.edits import scene_of
from madi.scenes.render import region, render, window
from madi.scenes.world import CELLS, Scene, Thing


def scenes(n, seed=0):
    rng = Random(seed)
    return [scene_of(rng) for _ in range(n)]


def test_same_scene_same_picture():
    for scene in scenes(20):
        assert np.array_equal(render(scene), render(Scene.from_dict(scene.to_dict())))


@pytest.mark.parametrize("size", [64, 128, 200, 512])
def test_any_size_shows_the_same_scene(size):
    for scene in scenes(4):
        picture = render(scene, size)
        assert picture.shape == (size, size, 3) and picture.dtype == np.uint8
        coarse = [p.reshape(8, p.shape[0] // 8, 8, -1, 3).mean((1, 3)) for p in (picture, render(scene, 128))]
        assert np.abs(coarse[0] - coarse[1]).mean() < 6


def test_windows_are_disjoint_and_inside():
    for size in (64, 128, 200):
        taken = np.zeros((size, size), int)
        for cell in range(len(CELLS)):
            top, left, bottom, right = window(cell, size)
            assert 0 <= top < bottom <= size and 0 <= left < right <= size
            taken[top:bottom, left:right] += 1
        assert taken.max() == 1


def test_a_thing_draws_inside_its_window_only():
    empty = Scene("sand", 1, "plain", "day")
    for shape in ("star", "heart", "cross", "moon", "circle"):
        for cell in range(9):
            scene = empty.put(Thing(cell, shape, "red", "large"))
            changed = (render(scene) != render(empty)).any(2)
            assert changed.any() and not changed[region(empty, scene) == 0].any()


def test_region_is_everything_when_the_look_changes():
    a, b = Scene("sand", 0, "plain", "day"), Scene("sand", 0, "plain", "fog")
    assert (region(a, b) == 255).all() and not region(a, a).any()


def test_two_things_in_a_cell_are_refused():
    with pytest.raises(ValueError, match="two things in one cell"):
        Scene("sky", 0, "plain", "day", (Thing(1, "star", "red", "small"), Thing(1, "moon", "red", "small")))


def test_a_scene_costs_under_two_milliseconds():
    many = scenes(300, seed=1)
    for scene in many:  # sprites are drawn once
        render(scene)
    began = time.process_time()
    for scene in many:
        render(scene)
    assert (time.process_time() - began) / len(many) < 0.002
