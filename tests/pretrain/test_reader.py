"""Readers: each cell's answer comes from its own tokens, and true answers cost nothing."""

import torch

from madi.pretrain.reader import FIELD_WIDTHS, LOOK_WIDTHS, WIDTHS, Reader, labels, reading, shares
from madi.scenes.world import Scene, Thing

SCENE = Scene("sea", 1, "comic", "fog", (Thing(0, "heart", "pink", "large", "T"), Thing(5, "moon", "white", "small")))


def test_each_cell_is_read_from_the_tokens_of_its_window():
    made = shares(8)
    assert torch.allclose(made.sum(1), torch.ones(9))
    assert made[0].view(8, 8)[5:].sum() == 0 and made[8].view(8, 8)[:3].sum() == 0
    reader, tokens = Reader(6, 8), torch.randn(1, 64, 6)
    other = tokens.clone()
    other[0, 0] += 1.0  # the top left corner
    moved = (reader(tokens) != reader(other))[0, sum(LOOK_WIDTHS) :].view(9, sum(FIELD_WIDTHS)).any(1)
    assert moved[0] and not moved[1:].any()


def test_true_answers_cost_nothing_and_a_wrong_one_by_its_weight():
    truth = labels([SCENE, SCENE])
    sure = torch.cat([100.0 * torch.nn.functional.one_hot(truth[:, k], n) for k, n in enumerate(WIDTHS)], 1)
    assert truth.shape == (2, len(WIDTHS)) and reading(sure, truth) < 1e-6
    wrong, weight = truth.clone(), torch.ones(truth.shape)
    wrong[0, 0] = 0  # sky
    weight[0, 0] = 5.0
    assert reading(sure, wrong, weight) > 4.5 * reading(sure, wrong)
