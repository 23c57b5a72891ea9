"""How far two judges, or two passes of one judge, agree on the same questions about the same edits.

Agreement is told as the share of equal keys, Spearman's rank correlation of values, and the mean difference (second
minus first), each with a 95 % percentile bootstrap interval over groups: edits of one source are not
independent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from madi import shards
from madi.errors import MadiError
from madi.records import ANSWER, EDIT_KEY, QUESTION, SAMPLE

KEYS = [*EDIT_KEY, "protocol", "question_id"]
LEVEL = 95  # percent


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
    """One row of the table."""
    a, b = both["value_a"].to_numpy(float), both["value_b"].to_numpy(float)
    same = (a == b).astype(float)
    codes = pd.factorize(both["cluster"])[0]
    members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    drawn = np.random.default_rng(seed).integers(0, len(members), (resamples, len(members)))
    picks = [np.concatenate([members[m] for m in row]) for row in drawn]
    told = {"protocol": name[0], "question": name[1], "n": len(both), "groups": len(members)}
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
