"""Ids, slots, positions and velocities that the official classes give (VectorSpaceLab/OmniGen d475201, transformers
4.45.2, torch 2.13, float32 on a CPU) for folders whose weights need no random generator."""

import official_omnigen as official
import pytest
import torch

from madi.model import checkpoint
from madi.model.prompt import layout

WORDS = "make it red and  blue: é 日本"
# kind: ids, slots of the two images, position of the last noise token, sum and norm of the velocity, every 16th number.
GOLDEN = {
    "llama2_bos": (
        "1 431 363 365 370 378 380 382 391 402 13 432 0 0 433 353 353 432 0 433 353 406 407 410 415 353 414 284 "
        "353 354 353 233 154 168 233 159 175 436 436 430 427 434",
        [(12, 14), (18, 19)],
        (50, 3.95889, 10.83693),
        "0.24087 0.26657 0.65472 0.50947 -0.34705 -0.26375 -0.25271 -0.16996",
    ),
    "llama2": (
        "431 363 365 370 378 380 382 391 402 13 432 0 0 433 353 353 432 0 433 353 406 407 410 415 353 414 284 353 "
        "354 353 233 154 168 233 159 175 436 436 430 427 434",
        [(11, 13), (17, 18)],
        (49, 3.95903, 10.83788),
        "0.24117 0.26626 0.65503 0.51021 -0.34759 -0.264 -0.25262 -0.17053",
    ),
    "byte_level": (
        "331 38 68 77 68 81 64 83 68 265 270 278 280 282 291 302 198 332 0 0 333 220 332 0 333 306 307 310 315 220 "
        "314 25 220 127 102 220 162 245 98 162 250 105 336 336 330 327 334",
        [(18, 20), (23, 24)],
        (55, 3.94203, 10.68480),
        "0.26462 0.29018 0.62911 0.48446 -0.35158 -0.26859 -0.22371 -0.14133",
    ),
}


@pytest.mark.parametrize("kind", GOLDEN)
def test_ids_positions_and_velocity_are_the_official_ones(tmp_path, kind):
    ids, slots, (last, total, norm), some = GOLDEN[kind]
    weights = checkpoint.load(official.steady(tmp_path / "official", kind))
    images = [official.wave((4, 2, 4), 2), official.wave((4, 2, 2), 3)]
    prompt = weights.tokens.from_text(layout(WORDS, 2, (), 2), images)
    assert prompt.ids == [int(number) for number in ids.split()] and prompt.slots == slots
    x = official.wave((1, 4, 4, 8), 1)
    assert len(prompt) + 8 == last  # the time token stands at len(prompt), eight noise tokens behind it
    with torch.no_grad():
        velocity = weights.packed(x, torch.tensor([0.25]), [prompt]).flatten()
    assert torch.allclose(velocity[::16], torch.tensor([float(number) for number in some.split()]), atol=2e-5)
    assert velocity.double().sum().item() == pytest.approx(total, abs=2e-4)
    assert velocity.double().norm().item() == pytest.approx(norm, abs=2e-4)
