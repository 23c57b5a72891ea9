"""Do the metrics rank edits as the truth does? Spearman's correlation of each with the scene oracle's numbers, by task.

The paper asks the same of CLIP-T and CLIP-Dir (its section 8) and answers by examples. Where the truth of an edit is
known, it has a number. Shape legend: N edits, G groups (source images), R resamples.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from madi import shards, stats
from madi.tables.figures.style import STYLE, plt, save
from madi.tables.spec import TablesSpec

BENCHMARK, WHOLE = "emu_edit", "all"
KEY = ["editor", "sample_id", "pause", "seed"]
TRUTHS = {"oracle_if/truth": "following", "oracle_idp/truth": "preservation", "both": "their mean"}
METRICS = {
    "clip_dir/source": "CLIP-Dir",
    "clip_t/global_caption": "CLIP-T",
    "clip_i/source": "CLIP-I",
    "dino/source": "DINO",
    "l1/source": "L1 (less is nearer)",
    "l2/source": "L2 (less is nearer)",
    "qa_if/judge": "judge's IF",
    "qa_idp/judge": "judge's IDP",
    "qa_mllm/judge": "judge's MLLM",
}
COLOURS = {"following": "#0072B2", "preservation": "#D55E00", "their mean": "#444444"}
COLUMNS = ["metric", "truth", "task", "rank_correlation", "low", "high", "n"]


def table(scores: pd.DataFrame, samples: pd.DataFrame, spec: TablesSpec, resamples: int, seed: int) -> pd.DataFrame:
    """A line a metric, truth and task: Spearman's correlation over all edits of Emu-Edit's samples by editors that are
    no references, with its 95 % interval. Empty where no edit's truth is known."""
    references = {editor for system in spec.systems.values() if system.reference for editor in system.editors}
    mine = scores[(scores["benchmark"] == BENCHMARK) & ~scores["editor"].isin(references)]
    mine = mine[mine["status"] == "ok"].assign(name=mine["metric"] + "/" + mine["against"])
    wide = mine.pivot_table(index=KEY, columns="name", values="value", observed=True).reset_index()
    if not {"oracle_if/truth", "oracle_idp/truth"} <= set(wide.columns):
        return pd.DataFrame(columns=COLUMNS)
    wide["both"] = (wide["oracle_if/truth"] + wide["oracle_idp/truth"]) / 2
    facts = samples[samples["benchmark"] == BENCHMARK].drop_duplicates("sample_id").set_index("sample_id")
    for name in ("group_id", "task"):
        wide[name] = wide["sample_id"].map(facts[name])
    parts = [(WHOLE, wide), *((str(task), some) for task, some in wide.groupby("task", observed=True))]
    rows = [
        line(metric, truth, task, some, resamples, seed)
        for metric in METRICS
        if metric in wide.columns
        for truth in TRUTHS
        for task, some in parts
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def shown(found: pd.DataFrame) -> list[tuple[str, list[str], int]]:
    """(metric, its correlation with each truth over all edits and the interval, n), for a page."""
    rows = []
    for metric, some in found[found["task"] == WHOLE].groupby("metric", sort=False):
        told = {one["truth"]: one for one in some.to_dict("records")}
        rows.append((metric, [words(told[truth]) for truth in TRUTHS.values()], max(one["n"] for one in told.values())))
    return rows


def words(one: dict) -> str:
    """`0.61 [0.52, 0.68]`, or a dash."""
    if pd.isna(one["rank_correlation"]):
        return "–"
    interval = "" if pd.isna(one["low"]) else f" [{one['low']:.2f}, {one['high']:.2f}]"
    return f"{one['rank_correlation']:.2f}{interval}"


def line(metric: str, truth: str, task: str, some: pd.DataFrame, resamples: int, seed: int) -> dict:
    """One correlation. Nan where one of the two does not vary."""
    known = some[[metric, truth, "group_id"]].dropna()
    value, interval = stats.correlation(
        known[metric].to_numpy(float),
        known[truth].to_numpy(float),
        known["group_id"].to_numpy(str),
        resamples,
        seed,
    )
    low, high = interval or (np.nan, np.nan)
    told = {"metric": METRICS[metric], "truth": TRUTHS[truth], "task": task}
    return told | {"rank_correlation": np.nan if value is None else value, "low": low, "high": high, "n": len(known)}


def write(folder: Path, figures: Path, found: pd.DataFrame) -> None:
    """Write validity.csv to `folder`, and figure_validity.{svg,png} to `figures`."""
    with shards.atomic(folder / "validity.csv") as partial:
        found.to_csv(partial, index=False, lineterminator="\n", float_format="%.4f")
    with plt.rc_context(STYLE | {"axes.grid.axis": "x"}):
        save(draw(found), figures, "figure_validity")


def draw(found: pd.DataFrame):
    """A row a metric: its correlation with each truth over all edits, with interval; those of single tasks as bars."""
    names = list(dict.fromkeys(found["metric"])) or ["no edit's truth is known at this scale"]
    figure, axis = plt.subplots(figsize=(8.4, 0.55 * len(names) + 1.4), layout="constrained")
    for row, metric in enumerate(names):
        for place, (truth, colour) in enumerate(COLOURS.items()):
            mine = found[(found["metric"] == metric) & (found["truth"] == truth)]
            y = row + 0.24 * (place - 1)
            tasks = mine[mine["task"] != WHOLE]["rank_correlation"]
            axis.plot(tasks, [y] * len(tasks), "|", color=colour, alpha=0.45, ms=7)
            for one in mine[mine["task"] == WHOLE].to_dict("records"):
                axis.plot([one["low"], one["high"]], [y, y], color=colour, lw=1.6)
                axis.plot(one["rank_correlation"], y, "o", color=colour, ms=5)
    for truth, colour in COLOURS.items():
        axis.plot([], [], "o-", color=colour, label=truth)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(-1.05, 1.05)
    axis.axvline(0, color="#444444", lw=0.8)
    axis.set_xlabel("Spearman's correlation with the truth (bars: single tasks)")
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    return figure
