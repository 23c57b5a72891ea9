"""Intervals: seeded by name, blind to order, wide when groups are few."""

import numpy as np
import pytest

from madi.tables import stats

RNG = np.random.default_rng(0)
VALUES = RNG.normal(0.5, 0.2, 60)
GROUPS = np.array([f"g{i % 15}" for i in range(60)])


def interval(values, groups, name="1/a/b/c"):
    return stats.mean_interval(stats.group_sums(values, groups), 500, 0, name)


def test_order_of_rows_changes_no_bit():
    shuffle = np.random.default_rng(1).permutation(60)
    assert interval(VALUES, GROUPS) == interval(VALUES[shuffle], GROUPS[shuffle])
    assert stats.group_sums(VALUES, GROUPS).ratio == stats.group_sums(VALUES[shuffle], GROUPS[shuffle]).ratio


def test_each_cell_has_its_own_stream_and_always_the_same_one():
    assert interval(VALUES, GROUPS) == interval(VALUES, GROUPS)
    assert interval(VALUES, GROUPS) != interval(VALUES, GROUPS, "another cell")


def test_interval_holds_the_mean_and_widens_with_correlated_groups():
    low, high = interval(VALUES, GROUPS)
    assert low < VALUES.mean() < high
    alike = np.repeat(RNG.normal(0, 1, 15), 4)  # four copies of 15 values: 60 rows, 15 facts
    groups = np.repeat([f"g{i}" for i in range(15)], 4)
    clustered, naive = interval(alike, groups), interval(alike, np.arange(60).astype(str))
    assert clustered[1] - clustered[0] > 1.5 * (naive[1] - naive[0])


def test_the_bootstrap_covers_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(2), 0
    for trial in range(200):
        low, high = interval(rng.normal(0, 1, 40), np.arange(40).astype(str), f"trial {trial}")
        hits += low <= 0 <= high
    assert 0.90 <= hits / 200 <= 0.98


def test_too_few_groups_give_no_interval():
    assert interval(np.ones(2), np.array(["a", "b"])) is None
    assert stats.wilson(0.0, 0) is None


@pytest.mark.parametrize("rate, n, low, high", [(0.5, 10, 0.2366, 0.7634), (0.0, 10, 0.0, 0.2775), (1.0, 5, 0.5655, 1)])
def test_wilson_against_published_values(rate, n, low, high):
    assert stats.wilson(rate, n) == pytest.approx((low, high), abs=1e-4)


def test_a_paired_lead_is_seen_through_noise_that_both_share():
    shared = RNG.normal(0, 1, 60)
    lead, groups = shared + 0.1 + RNG.normal(0, 0.02, 60), np.arange(60).astype(str)
    assert stats.separated(lead, shared, groups, 500, 0, "x")
    assert not stats.separated(shared, lead, groups, 500, 0, "x")
    assert not stats.separated(shared, shared, groups, 500, 0, "x")


def test_gain_is_of_one_mean_over_the_other():
    over, of = stats.group_sums(VALUES, GROUPS), stats.group_sums(1.2 * VALUES, GROUPS)
    low, high = stats.gain_interval(of, over, 500, 0, "x")
    assert low == pytest.approx(20) and high == pytest.approx(20)  # paired: the same draws divide out
