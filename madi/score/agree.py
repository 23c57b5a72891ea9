"""How far two judges, or two passes of one judge, agree on the same questions about the same edits.

Agreement is the share of equal keys, Spearman's rank correlation of values, and the mean difference (second minus
first), each with the 95 % bootstrap interval over groups that the tables use.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from madi import shards, stats
from madi.errors import MadiError
from madi.records import ANSWER, EDIT_KEY, QUESTION, SAMPLE

KEYS = [*EDIT_KEY, "protocol", "question_id"]


def run(one: Path, other: Path, files: dict[str, Path], questions: dict[str, Path], resamples: int, seed: int) -> str:
    """The agreement of two files of answers, or jobs' folders of them, as a table. files: samples by benchmark, whose
    groups are then drawn whole; questions: by benchmark, whose tags then part the five.

    Errors: MadiError where they have nothing in common."""
    frames = [shards.frame(shards_in(path), ANSWER) for path in (one, other)]
    first, second = (means(frame, tags(questions)) for frame in frames)
    both = first.merge(second, on=[*KEYS, "aspect"], suffixes=("_a", "_b"))
    if both.empty:
        raise MadiError("no answer about an edit in common", f"{one} and {other}", "answers about the same edits")
    both["cluster"] = clusters(both, files)
    rows = [line(name, some, resamples, seed) for name, some in both.groupby(["protocol", "aspect"], sort=True)]
    lost = f"only in the first: {len(first) - len(both)}, only in the second: {len(second) - len(both)}"
    blank = [f"{(frame['status'] != 'ok').sum()} of {len(frame)}" for frame in frames]
    return pd.DataFrame(rows).to_string(index=False) + f"\n{lost}; undecided or missing: {blank[0]}, {blank[1]}"


def shards_in(path: Path) -> list[Path]:
    """A file, or the shards in a job's folder."""
    some = sorted(path.glob("[0-9]*.parquet")) if path.is_dir() else [path]
    if not some:
        raise MadiError("no shard of answers", path, "a file of answers, or a job's folder of them")
    return some


def tags(questions: dict[str, Path]) -> dict[str, str]:
    """The tag of each question."""
    return {row["question_id"]: row["tag"] for path in questions.values() for row in shards.stream(path, QUESTION)}


def clusters(both: pd.DataFrame, files: dict[str, Path]) -> list[str]:
    """What is drawn together in the bootstrap: a sample's group where it is known, else the sample."""
    known = {
        (name, row["sample_id"]): row["group_id"]
        for name, path in files.items()
        for row in shards.stream(path, SAMPLE, ["sample_id", "group_id"])
    }
    return [f"{b} {known.get((b, s), s)}" for b, s in zip(both["benchmark"], both["sample_id"])]


def means(frame: pd.DataFrame, tag: dict[str, str]) -> pd.DataFrame:
    """The mean value of each question over rollouts, where it was answered. aspect: what it is about."""
    there = frame[frame["status"] == "ok"]
    grouped = there.groupby(KEYS, sort=False, observed=True)
    found = grouped.agg(value=("value", "mean"), key=("key", "mean")).reset_index()
    five = found["protocol"] == "five_questions"  # whose ids are hashes, one a sample
    found["aspect"] = found["question_id"].where(~five, found["question_id"].map(tag).fillna("all"))
    return found


def line(name: tuple[str, str], both: pd.DataFrame, resamples: int, seed: int) -> dict:
    """One row of the table. Intervals are those of `madi.stats`, as in every table."""
    a, b = both["value_a"].to_numpy(float), both["value_b"].to_numpy(float)
    groups = both["cluster"].to_numpy(str)

    def mean(values_N: np.ndarray) -> str:
        sums = stats.group_sums(values_N, groups)
        return words(sums.ratio, stats.mean_interval(sums, resamples, seed))

    return {
        "protocol": name[0],
        "question": name[1],
        "n": len(both),
        "groups": len(set(groups)),
        "equal": mean((a == b).astype(float)),
        "rank correlation": words(*stats.correlation(a, b, groups, resamples, seed)),
        "difference": mean(b - a),
    }


def words(value: float | None, interval: stats.Interval) -> str:
    """`0.81 [0.75, 0.86]`; without brackets where there is no interval; a dash where there is no value."""
    if value is None:
        return "-"
    return f"{value:.2f} [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else f"{value:.2f}"
