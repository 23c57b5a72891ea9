"""Intervals: seeded by name, blind to order, wide when groups are few."""

import numpy as np
import pytest

from madi import stats

RNG = np.random.default_rng(0)
VALUES = RNG.normal(0.5, 0.2, 60)
GROUPS = np.array([f"g{i % 15}" for i in range(60)])


def interval(values, groups):
    return stats.mean_interval(stats.group_sums(values, groups), 500, 0)


def test_order_of_rows_changes_no_bit():
    shuffle = np.random.default_rng(1).permutation(60)
    assert interval(VALUES, GROUPS) == interval(VALUES[shuffle], GROUPS[shuffle])
    assert stats.group_sums(VALUES, GROUPS).ratio == stats.group_sums(VALUES[shuffle], GROUPS[shuffle]).ratio


def test_cells_over_the_same_groups_share_their_draws_and_others_have_their_own():
    one, again = (stats.draws(("a", "b", "c", "d"), 100, 0) for _ in range(2))
    assert (one == again).all() and (one.sum(1) == 3).all()
    for other in (stats.draws(("a", "b", "c", "e"), 100, 0), stats.draws(("a", "b", "c", "d"), 100, 1)):
        assert (one != other).any()
    assert (one != stats.draws(("a", "b", "c", "d"), 100, 0, "another part")).any()


@pytest.mark.slow
def test_a_papers_worth_of_intervals_takes_seconds():
    """10,000 resamples of 3,600 samples x 10 systems x 6 metrics."""
    import time

    rng = np.random.default_rng(0)
    groups = np.array([f"g{n}" for n in range(3600)])
    start = time.perf_counter()
    for _ in range(60):
        assert stats.mean_interval(stats.group_sums(rng.normal(size=3600), groups), 10_000, 0)
    assert time.perf_counter() - start < 10


def test_interval_holds_the_mean_and_widens_with_correlated_groups():
    low, high = interval(VALUES, GROUPS)
    assert low < VALUES.mean() < high
    alike = np.repeat(RNG.normal(0, 1, 15), 4)  # four copies of 15 values: 60 rows, 15 facts
    groups = np.repeat([f"g{i}" for i in range(15)], 4)
    clustered, naive = interval(alike, groups), interval(alike, np.arange(60).astype(str))
    assert clustered[1] - clustered[0] > 1.5 * (naive[1] - naive[0])


def test_the_bootstrap_covers_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(2), 0
    for _ in range(200):
        low, high = interval(rng.normal(0, 1, 40), np.arange(40).astype(str))
        hits += low <= 0 <= high
    assert 0.90 <= hits / 200 <= 0.98


def test_resampled_means_of_few_groups_vary_as_means_do():
    values = np.array([0.1, 0.4, 0.9, 0.2])
    means = stats.resampled(stats.group_sums(values, np.array(list("abcd"))), stats.draws(tuple("abcd"), 40_000, 0))
    assert means.mean() == pytest.approx(values.mean(), abs=0.005)
    assert means.var() == pytest.approx(values.var(ddof=1) / 4, rel=0.03)


def test_too_few_groups_give_no_interval():
    assert interval(np.ones(2), np.array(["a", "b"])) is None
    assert stats.wilson(0.0, 0) is None
    three = stats.group_sums(VALUES[:3], GROUPS[:3])
    two = stats.group_sums(VALUES[:2], GROUPS[:2])
    assert stats.macro_interval({"a": three, "b": two}, 500, 0) is None
    assert stats.macro_interval({"a": three, "b": three}, 500, 0) is not None


@pytest.mark.parametrize("rate, n, low, high", [(0.5, 10, 0.2366, 0.7634), (0.0, 10, 0.0, 0.2775), (1.0, 5, 0.5655, 1)])
def test_wilson_against_published_values(rate, n, low, high):
    assert stats.wilson(rate, n) == pytest.approx((low, high), abs=1e-4)


def lead(first, second, groups, weights=None):
    """Interval of the difference of two means over the same groups, the first of them weighted."""
    better, worse = stats.group_sums(first, groups, weights), stats.group_sums(second, groups)
    return stats.lead_interval({"": better}, {"": worse}, 500, 0)


def test_a_paired_lead_is_seen_through_noise_that_both_share():
    shared = RNG.normal(0, 1, 60)
    ahead, groups = shared + 0.1 + RNG.normal(0, 0.02, 60), np.arange(60).astype(str)
    low, high = lead(ahead, shared, groups)
    assert 0 < low < (ahead - shared).mean() < high < 0.12
    assert lead(shared, ahead, groups)[1] < 0
    assert lead(shared, shared, groups) == (0, 0)


def test_a_lead_is_of_weighted_means():
    values, groups = np.tile([1.0, 0.0], 30), np.arange(60).astype(str)
    light = np.where(values == 1, 1.0, 0.5)  # a mean of 2 / 3
    low, high = lead(values, values, groups, light)
    assert 0 < low < 1 / 6 < high


def test_a_lead_over_strata_counts_each_the_same():
    groups = np.arange(40).astype(str)
    ahead = {"a": stats.group_sums(np.full(36, 0.4), groups[:36]), "b": stats.group_sums(np.full(4, 0.9), groups[36:])}
    behind = {"a": stats.group_sums(np.full(36, 0.5), groups[:36]), "b": stats.group_sums(np.full(4, 0.5), groups[36:])}
    assert stats.lead_interval(ahead, behind, 500, 0) == pytest.approx((0.15, 0.15))  # pooled: 0.05 behind
    assert stats.lead_interval(ahead, {"a": behind["a"]}, 500, 0) is None  # means over other strata
    assert stats.lead_interval({}, {}, 500, 0) is None


def test_a_pair_needs_three_groups_on_either_side():
    many, few = stats.group_sums(VALUES, GROUPS), stats.group_sums(VALUES[:2] + 9, GROUPS[:2])
    assert stats.lead_interval({"": few}, {"": many}, 500, 0) is None
    assert stats.gain_interval(few, many, 500, 0) is None


def test_gain_is_of_one_mean_over_the_other():
    over, of = stats.group_sums(VALUES, GROUPS), stats.group_sums(1.2 * VALUES, GROUPS)
    low, high = stats.gain_interval(of, over, 500, 0)
    assert low == pytest.approx(20) and high == pytest.approx(20)  # paired: the same draws divide out
