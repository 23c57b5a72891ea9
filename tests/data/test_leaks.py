import io
import json

import numpy as np
import pytest
from PIL import Image

from madi import images
from madi.data import leaks
from madi.errors import MadiError
from madi.samples import Sample
from madi.scenes.render import render
from madi.scenes.samples import items
from madi.scenes.world import COLOURS, Scene, Thing

SCENE = Scene("grass", 1, "plain", "day", (Thing(0, "star", "red", "large"), Thing(5, "moon", "blue", "small")))


def sample(identity, sources=(), target=None, spec=None, encode=images.encode_png):
    def picture(image):
        return {"bytes": encode(image), "path": None}

    row = {
        "sample_id": identity, "sources": [picture(image) for image in sources],
        "target": None if target is None else picture(target), "spec": spec and json.dumps(spec),
    }  # fmt: skip
    return Sample(row, "samples.parquet", 0)


def jpeg(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="JPEG", quality=75)
    return file.getvalue()


def other(index, size=128):
    return render(next(items("t2i", "tune", 1, seed=index)).target, size)


@pytest.fixture(scope="module")
def shown():
    return leaks.Shown({"emu_edit": [sample("b", [render(SCENE, 128)], other(1))]})


def test_a_picture_that_a_benchmark_shows_is_found_in_any_role(shown):
    found = leaks.leaks([sample("a", [other(2)], render(SCENE, 128)), sample("c", [other(3)], other(4))], shown)
    assert found == [
        {"sample_id": "a", "role": "target", "benchmark": "emu_edit", "of": "b", "of_role": "source_1",
         "how": "the same picture"}
    ]  # fmt: skip


def test_recompressed_and_rescaled_copies_are_found(shown):
    copies = [
        sample("jpeg", [render(SCENE, 128)], encode=jpeg),
        sample("small", [images.resize(render(SCENE, 128), 96, 96)]),
    ]
    found = leaks.leaks(copies, shown)
    assert [leak["sample_id"] for leak in found] == ["jpeg", "small"]
    assert {leak["how"] for leak in found} == {"a near-duplicate"}


def test_the_same_scene_is_found_however_it_is_drawn():
    truth = {"sources": [SCENE.to_dict()]}
    shown = leaks.Shown({"emu_edit": [sample("b", [render(SCENE, 128)], spec=truth)]})
    blank = np.zeros((32, 32, 3), np.uint8)
    assert leaks.leaks([sample("a", [blank], spec=truth)], shown)
    assert not leaks.leaks([sample("a", [blank])], shown)


def test_one_thing_more_or_of_another_colour_is_another_picture(shown):
    changed = [SCENE.put(Thing(0, "star", colour, "large")) for colour in COLOURS if colour != "red"]
    changed += [
        SCENE.without(5),
        SCENE.put(Thing(0, "star", "red", "large", "A")),
        SCENE.put(Thing(8, "heart", "pink", "small")),
    ]
    assert leaks.leaks([sample(str(k), [render(scene, 128)]) for k, scene in enumerate(changed)], shown) == []


def test_no_benchmark_and_no_picture_is_no_leak():
    assert leaks.leaks([sample("a", [other(1)])], leaks.Shown({})) == []
    assert leaks.leaks([sample("a")], leaks.Shown({"geneval": [sample("b")]})) == []


def test_more_than_five_percent_stop():
    leak = {"sample_id": "a", "role": "target", "benchmark": "emu_edit", "of": "b", "how": "the same picture"}
    leaks.hold([], 0, "train")
    leaks.hold([leak] * 5, 100, "train")
    with pytest.raises(MadiError, match=r"^train: 6 of 100 samples .* first a .*emu_edit b.*; expected at most 5%"):
        leaks.hold([leak] * 6, 100, "train")


def test_an_unreadable_image_is_named(shown):
    broken = sample("a", [other(1)], encode=lambda image: images.encode_png(image)[:200])
    with pytest.raises(MadiError, match=r"samples.parquet row 0 column sources\[0\]: unreadable image"):
        leaks.leaks([broken], shown)
