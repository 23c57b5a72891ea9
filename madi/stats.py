"""Intervals: bootstrap over groups (source images, sessions), paired differences, Wilson's for rates.

Shape legend: N values, G groups, R resamples. Whole groups are drawn with replacement, because edits of one source
image are not independent. Every draw is seeded by the groups' names, and values are sorted before they are summed: the
order in which rows or cells come changes no digit.
"""

import hashlib
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

LOW, HIGH = 2.5, 97.5  # percent: a 95 % interval
FEWEST = 3  # groups: with fewer, resampling them tells nothing
FEWEST_TO_LEAD = 6  # groups: of five, all differ the same way once in 16 by chance alone
Z = 1.959963984540054  # of a normal, two-sided 95 %
Interval = tuple[float, float] | None


@dataclass(frozen=True)
class Sums:
    """Weighted sums by group: `names` [G] sorted, `values` [G] = sum of w*x, `weights` [G] = sum of w."""

    names: np.ndarray
    values: np.ndarray
    weights: np.ndarray

    @property
    def ratio(self) -> float | None:
        """The weighted mean, None if nothing weighs anything."""
        total = self.weights.sum()
        return float(self.values.sum() / total) if total > 0 else None


Strata = dict[str, Sums]  # what is averaged without weights: GenEval's tags; one nameless stratum where there are none


def group_sums(values_N: np.ndarray, groups_N: np.ndarray, weights_N: np.ndarray | None = None) -> Sums:
    """Sums by group, independent of the order of the N values."""
    weights_N = np.ones(len(values_N)) if weights_N is None else weights_N
    order = np.lexsort((weights_N, values_N, groups_N))
    names, index_N = np.unique(groups_N[order], return_inverse=True)
    values_G, weights_G = np.zeros(len(names)), np.zeros(len(names))
    np.add.at(values_G, index_N, values_N[order] * weights_N[order])
    np.add.at(weights_G, index_N, weights_N[order])
    return Sums(names, values_G, weights_G)


@lru_cache(maxsize=2)  # most cells are over the same groups, and 10,000 draws of 3,600 take 0.3 GB
def draws(names: tuple[str, ...], resamples: int, seed: int, part: str = "") -> np.ndarray:
    """How often each group is drawn, [R, G] as floats, from a stream of these groups' own (and of this part's).

    One fewer are drawn than there are (Rao and Wu, 1988), which makes the variance of a resampled mean s^2 / G,
    unbiased: with all G it would be a share 1 / G too small, much where groups are few. Cells over the same groups
    share their draws, as paired comparisons must.
    """
    key = hashlib.sha256("\0".join((str(seed), part, *names)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(key[:16], "big"))
    groups = len(names)
    drawn_RG = rng.multinomial(groups - 1, np.full(groups, 1 / groups), size=resamples).astype(np.float64)
    drawn_RG.flags.writeable = False
    return drawn_RG


def resampled(sums: Sums, draws_RG: np.ndarray) -> np.ndarray:
    """The weighted mean of every resample [R]; nan where a resample has no weight."""
    values_R, weights_R = (draws_RG @ np.stack([sums.values, sums.weights], axis=1)).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weights_R > 0, values_R / weights_R, np.nan)


def percentiles(statistics_R: np.ndarray) -> Interval:
    """The middle 95 % of the resampled statistics, None if too few of them exist."""
    finite = statistics_R[np.isfinite(statistics_R)]
    if len(finite) < len(statistics_R) / 2:
        return None
    low, high = np.percentile(finite, [LOW, HIGH])
    return float(low), float(high)


def mean_interval(sums: Sums, resamples: int, seed: int) -> Interval:
    """95 % interval of the weighted mean; None with fewer than three groups."""
    if len(sums.names) < FEWEST:
        return None
    return percentiles(resampled(sums, draws(tuple(sums.names), resamples, seed)))


def macro_interval(strata: Strata, resamples: int, seed: int) -> Interval:
    """95 % interval of the mean over strata, each resampled within itself; None if one has fewer than three groups."""
    if not strata or any(len(sums.names) < FEWEST for sums in strata.values()):
        return None
    parts = [resampled(sums, draws(tuple(sums.names), resamples, seed, key)) for key, sums in strata.items()]
    return percentiles(np.mean(parts, axis=0))


def paired(
    first: Sums, second: Sums, resamples: int, seed: int, part: str = ""
) -> tuple[np.ndarray, np.ndarray] | None:
    """Both weighted means [R] under the same draws of the same groups; None if either has fewer than three groups."""
    if min(len(first.names), len(second.names)) < FEWEST:
        return None
    names = np.union1d(first.names, second.names)
    draws_RG = draws(tuple(names), resamples, seed, part)
    return resampled(spread(first, names), draws_RG), resampled(spread(second, names), draws_RG)


def gain_interval(of: Sums, over: Sums, resamples: int, seed: int) -> Interval:
    """95 % interval of 100 * (mean(of) / mean(over) - 1), paired."""
    pair = paired(of, over, resamples, seed)
    if pair is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        return percentiles(100 * (pair[0] / pair[1] - 1))


def lead_interval(first: Strata, second: Strata, resamples: int, seed: int) -> Interval:
    """95 % interval of the first's mean over strata less the second's, paired; None if their strata differ, or hold
    too few groups together to tell."""
    if not first or first.keys() != second.keys():
        return None
    if sum(len(np.union1d(first[key].names, second[key].names)) for key in first) < FEWEST_TO_LEAD:
        return None
    pairs = [paired(first[key], second[key], resamples, seed, key) for key in sorted(first)]
    if None in pairs:
        return None
    return percentiles(np.mean([better - worse for better, worse in pairs], axis=0))


def spread(sums: Sums, names: np.ndarray) -> Sums:
    """The same sums over a larger sorted set of groups, nothing in the new ones."""
    at = np.searchsorted(names, sums.names)
    values, weights = np.zeros(len(names)), np.zeros(len(names))
    values[at], weights[at] = sums.values, sums.weights
    return Sums(names, values, weights)


def correlation(
    x_N: np.ndarray, y_N: np.ndarray, groups_N: np.ndarray, resamples: int, seed: int
) -> tuple[float | None, Interval]:
    """Spearman's rank correlation and its 95 % interval over resampled groups. Ranks are those of all N values
    throughout. (None, None) with fewer than three values, or where one of the two does not vary."""
    from scipy.stats import rankdata

    if len(x_N) < 3 or not np.ptp(x_N) or not np.ptp(y_N):
        return None, None
    x_N, y_N = (rankdata(values) / len(values) for values in (x_N, y_N))
    names, at_N = np.unique(groups_N, return_inverse=True)
    sums_GK = np.zeros((len(names), 6))
    np.add.at(sums_GK, at_N, np.stack([np.ones_like(x_N), x_N, y_N, x_N * x_N, y_N * y_N, x_N * y_N], axis=1))
    value = float(pearson(sums_GK.sum(0)[None])[0])
    if len(names) < FEWEST:
        return value, None
    return value, percentiles(pearson(draws(tuple(names), resamples, seed) @ sums_GK))


def pearson(sums_RK: np.ndarray) -> np.ndarray:
    """Pearson's correlation [R] from sums of 1, x, y, xx, yy, xy."""
    with np.errstate(invalid="ignore", divide="ignore"):
        n, x, y, xx, yy, xy = (sums_RK / sums_RK[:, :1]).T
        return (xy - x * y) / np.sqrt((xx - x * x) * (yy - y * y))


def wilson(rate: float, n: int) -> Interval:
    """Wilson's 95 % interval of a rate over n independent trials; None for n = 0.

    For edits that share a source or a prompt, n is the number of groups: wider than the truth, never narrower.
    """
    if n == 0:
        return None
    centre = (rate + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z / (1 + Z**2 / n) * np.sqrt(rate * (1 - rate) / n + Z**2 / (4 * n**2))
    return float(max(0.0, centre - half)), float(min(1.0, centre + half))
