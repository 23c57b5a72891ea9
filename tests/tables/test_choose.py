"""Selection on matrices small enough to read."""

import numpy as np

from madi.tables import choose

NAN = np.nan
# Three samples, four candidates (pauses 0, 8, 16, 32).
CLIP_DIR = np.array([[0.10, 0.30, 0.20, 0.05], [0.12, NAN, 0.12, 0.02], [NAN, NAN, NAN, NAN]])
DINO = np.array([[0.95, 0.80, 0.92, 0.99], [0.90, 0.99, 0.89, 0.70], [0.95, 0.96, 0.97, 0.98]])


def test_best_takes_the_highest_and_the_fewest_pauses_of_a_tie():
    assert choose.best(CLIP_DIR).tolist() == [1, 0, choose.NONE]
    assert choose.best(DINO).tolist() == [3, 1, 3]


def test_without_candidates_none_is_chosen():
    assert choose.best(np.zeros((0, 0))).tolist() == []
    assert choose.best(np.zeros((2, 0))).tolist() == [choose.NONE] * 2


def test_a_bar_is_met_before_the_objective_is_looked_at():
    admitted = choose.admitted(DINO, 0.91)
    assert choose.best_within(CLIP_DIR, admitted).tolist() == [2, choose.NONE, choose.NONE]
    assert admitted.any(axis=1).tolist() == [True, True, True]
    assert choose.best_within(DINO, choose.admitted(CLIP_DIR, 0.09)).tolist() == [0, 0, choose.NONE]


def test_a_bar_is_met_by_the_value_itself():
    assert choose.admitted(np.array([[0.91, np.nextafter(0.91, 0)]]), 0.91).tolist() == [[True, False]]


def test_discordant_answers_are_left_out_or_weigh_half():
    following, preservation = np.array([7.1, 7.0, 2.9, 3.0, 9.0]), np.array([2.9, 2.9, 7.1, 7.1, 9.0])
    assert choose.discord_weight(following, preservation).tolist() == [0.0, 1.0, 0.5, 1.0, 1.0]
