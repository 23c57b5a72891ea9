"""How far two judges, or two passes of one judge, agree on the same questions about the same edits.

Agreement is told as the share of equal keys, Spearman's rank correlation of values, and the mean difference (second
minus first), each with a 95 % percentile bootstrap interval over samples: edits of one sample are not independent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from madi import shards
from madi.errors import MadiError
from madi.records import ANSWER, EDIT_KEY

KEYS = [*EDIT_KEY, "protocol", "question_id"]
LEVEL = 95  # percent


def run(one: Path, other: Path, resamples: int, seed: int) -> str:
    """The agreement of two files of answers as a table. Errors: MadiError where they have no question in common."""
    first, second = (means(shards.frame(path, ANSWER)) for path in (one, other))
    both = first.merge(second, on=KEYS, suffixes=("_a", "_b"))
    if both.empty:
        raise MadiError("no question about an edit in common", f"{one} and {other}", "answers about the same edits")
    rows = [line(name, some, resamples, seed) for name, some in both.groupby(["protocol", "aspect_a"], sort=True)]
    lost = f"only in the first: {len(first) - len(both)}, only in the second: {len(second) - len(both)}"
    return pd.DataFrame(rows).to_string(index=False) + f"\n{lost}"


def means(frame: pd.DataFrame) -> pd.DataFrame:
    """The mean value of each question over rollouts, where it was answered. aspect: its name, if it has one."""
    there = frame[frame["status"] == "ok"]
    found = (
        there.groupby(KEYS, sort=False, observed=True).agg(value=("value", "mean"), key=("key", "mean")).reset_index()
    )
    five = found["protocol"] == "five_questions"  # whose ids are hashes, one a sample
    found["aspect"] = found["question_id"].where(~five, "all")
    return found


def line(name: tuple[str, str], both: pd.DataFrame, resamples: int, seed: int) -> dict:
    """One row of the table."""
    a, b = both["value_a"].to_numpy(float), both["value_b"].to_numpy(float)
    same = (both["key_a"] == both["key_b"]).to_numpy(float)
    codes = pd.factorize(both["benchmark"].astype(str) + "\0" + both["sample_id"].astype(str))[0]
    members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    drawn = np.random.default_rng(seed).integers(0, len(members), (resamples, len(members)))
    picks = [np.concatenate([members[m] for m in row]) for row in drawn]
    told = {"protocol": name[0], "question": name[1], "n": len(both), "samples": len(members)}
    for label, measure in (
        ("equal", lambda rows: same[rows].mean()),
        ("rank correlation", lambda rows: spearman(a[rows], b[rows])),
        ("difference", lambda rows: (b[rows] - a[rows]).mean()),
    ):
        told[label] = interval(measure(np.arange(len(both))), [measure(rows) for rows in picks])
    return told


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's rank correlation; nan where one of them does not vary."""
    x, y = rankdata(a), rankdata(b)
    if len(a) < 2 or not x.std() or not y.std():
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def interval(value: float, drawn: list[float]) -> str:
    """`0.81 [0.75, 0.86]`; a dash where there is none."""
    if np.isnan(value):
        return "-"
    known = [one for one in drawn if not np.isnan(one)]
    low, high = np.percentile(known, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
