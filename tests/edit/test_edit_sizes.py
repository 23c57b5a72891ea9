"""Edit jobs on pictures of any size: shrunk or refused by choice; what cannot be edited costs its sample alone."""

import numpy as np
import pytest
import tiny_omnigen
from test_edit_job import job, sample_row

from madi import images, samples
from madi.edit.editors.checkpoint import Checkpoint
from madi.edit.work import Work, record


def picture(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_omnigen.weights_folder(tmp_path_factory.mktemp("weights") / "base")  # 8 places: 128 px a side


def work(number, *pictures):
    row = sample_row(number) | {"sources": [images.picture(one) for one in pictures]}
    return Work("omnigen", "emu_edit", samples.Sample(row, "made", number), 0, 0)


def editor(folder, **settings):
    sampler = job(("copy",)).sampler
    return Checkpoint(folder, type(sampler)(**sampler.model_dump() | settings), 32, "0" * 64)


def test_every_job_shrinks_to_max_side(folder):
    asked = [work(0, picture(256, 171)), work(1, picture(64, 43)), work(2, picture(48, 48), picture(300, 100))]
    made = editor(folder, max_side=64).edit(asked)
    assert [one.image.shape[:2] for one in made] == [(32, 64), (32, 64), (48, 48)]


def test_by_choice_a_large_picture_costs_its_sample(folder):
    asked = [work(0, picture(65, 65)), work(1, picture(64, 64)), work(2, picture(64, 64), picture(80, 64))]
    made = editor(folder, max_side=64, oversized="refuse").edit(asked)
    assert [one.image is None for one in made] == [True, False, True]
    assert made[0].reason == "source 1 of 65x65 px is larger than edit.sampler.max_side, 64 px"
    assert made[2].reason.startswith("source 2 of 80x64 px is larger")
    facts = dict(sampler_steps=1, guidance_text=0.0, guidance_image=0.0, weights_sha="0", config_sha="0")
    assert record(asked[0], made[0], facts)["status"] == "refused"


def test_a_picture_past_the_position_table_costs_its_sample_and_no_other(folder):
    asked = [work(0, picture(64, 64)), work(1, picture(400, 64)), work(2, picture(32, 32))]
    whole = editor(folder)
    made = whole.edit(asked)
    assert [one.image is None for one in made] == [False, True, False]
    assert "400x64 px; the position table holds 128 px at most" in made[1].reason
    for place in (0, 2):
        [alone] = whole.edit([asked[place]])
        assert np.abs(alone.image.astype(int) - made[place].image.astype(int)).max() <= 1
