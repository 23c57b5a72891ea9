"""Scores the images of a folder by a benchmark's own numbers: whoever made them, with whatever.

The images are edits like any others: the folder editor reads them, the score stage scores them, the tables' statistics
give the intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from madi import samples, shards
from madi.config import JudgeSlice, ScoreSlice
from madi.edit.editors.folder import Folder
from madi.edit.work import Work, record
from madi.editors import FolderEditor, Turns
from madi.errors import MadiError
from madi.progress import progress, say
from madi.records import ANSWER, EDIT, SCORE
from madi.score import shard
from madi.settings import GenEval
from madi.tables import stats

RESAMPLES, SEED = 10_000, 0
WHOLE, CLEAN = "all", "clean captions"


@dataclass(frozen=True)
class Asked:
    """What is scored, and by which models. seeds: images a sample (GenEval has four); turns: what later turns of a
    session edited: with `own`, its last turn alone is scored (MagicBrush's final-turn protocol)."""

    folder: Path
    layout: str
    samples: Path
    benchmark: str
    clip: Path
    dino: Path
    geneval: GenEval
    turns: Turns
    seeds: int
    batch: int
    threads: int


def run(asked: Asked, out: Path) -> pd.DataFrame:
    """Write edits, scores, the table (CSV) and the page below `out`; returns the table.

    Errors: MadiError where no image is in any sample's place: the layout is another.
    """
    found = samples.load(asked.samples)
    if others := sorted({one.row["set"] for one in found.values()} - {asked.benchmark}):
        raise MadiError(f"samples of {others[0]}", asked.samples, f"those of {asked.benchmark}", "see --benchmark")
    editor = Folder(FolderEditor(path=str(asked.folder), layout=asked.layout), "0" * 64, asked.turns)
    tell_strangers(asked, editor, found)
    if asked.turns == "own":
        found = samples.last_turns(found)
    shards.write(out / "edits.parquet", edits(asked, editor, found), EDIT)
    shards.write(out / "answers.parquet", (), ANSWER)
    judge = JudgeSlice(job="folder", judge="oracle", protocols={}, rollouts=1)
    models = {"clip": str(asked.clip), "dino": str(asked.dino), "geneval": asked.geneval}
    job = ScoreSlice(job="folder", name="folder", threads=asked.threads, judge=judge, batch=asked.batch, **models)
    files = {asked.benchmark: asked.samples}
    shard.run(job, out / "edits.parquet", files, {}, out / "answers.parquet", out / "scores.parquet")
    frame = shards.frame(out / "scores.parquet", SCORE)
    frame["group_id"] = frame["sample_id"].map({key: one.row["group_id"] for key, one in found.items()})
    frame["task"] = frame["sample_id"].map({key: task_of(one) for key, one in found.items()})
    frame["clean"] = frame["sample_id"].map({key: captions_clean(one) for key, one in found.items()})
    table = pd.DataFrame(lines(frame))
    table.to_csv(out / "table.csv", index=False)
    return table


def edits(asked: Asked, editor: Folder, found: dict[str, samples.Sample]):
    """The Edit rows of all samples, those without an image failed. Errors: MadiError where all are."""
    there, first = 0, None
    works = [Work("folder", asked.benchmark, one, 0, seed) for one in found.values() for seed in range(asked.seeds)]
    for work in progress(works, len(works), "read images"):
        [result] = editor.edit([work])
        there += result.image is not None
        first = first or result.reason
        yield record(work, result, editor.facts)
    if not there:
        raise MadiError(f"no image of {asked.benchmark} ({first})", asked.folder, f"the layout {asked.layout}")
    if there < len(works):
        say(f"{len(works) - there} of {len(works)} images are missing or unreadable: counted, and in no mean")


def tell_strangers(asked: Asked, editor: Folder, found: dict[str, samples.Sample]) -> None:
    """Images in no sample's place may be a sample's, under a wrong name: they are told, and never guessed at."""
    others = editor.strangers(found, (0,), range(asked.seeds))
    if others:
        names = ", ".join(str(path.relative_to(asked.folder)) for path in others[:3])
        say(f"{len(others)} images are in no sample's place and are not scored ({names})")


def task_of(sample: samples.Sample) -> str:
    """What a breakdown is by: the task, else the complexity."""
    row = sample.row
    return row["task"] or (f"level {row['complexity']}" if row["complexity"] else "none")


def captions_clean(sample: samples.Sample) -> bool:
    """Whether a sample's captions describe its pictures, as its reader says (Emu Edit's does)."""
    return sample.spec().get("captions", "clean") == "clean"


def lines(frame: pd.DataFrame) -> list[dict]:
    """A line a metric for all samples, one for those with clean captions if others have none, then one a task."""
    found = []
    for (metric, against), some in frame.groupby(["metric", "against"], sort=False):
        found.append(line(metric, against, WHOLE, some))
        if not some["clean"].all():
            found.append(line(metric, against, CLEAN, some[some["clean"]]))
        if some["task"].nunique() > 1:
            found += [line(metric, against, task, mine) for task, mine in some.groupby("task")]
    return found


def line(metric: str, against: str, task: str, some: pd.DataFrame) -> dict:
    """Mean, 95 % interval over groups, and how many there are, excluded and missing."""
    there = some[some["status"] == "ok"]
    means = there.groupby(["group_id", "sample_id"])["value"].mean().reset_index()  # over seeds
    sums = stats.group_sums(means["value"].to_numpy(float), means["group_id"].to_numpy(str))
    interval = stats.mean_interval(sums, RESAMPLES, SEED) or (None, None)
    told = {"metric": metric, "against": against, "task": task, "mean": sums.ratio}
    told |= {"low": interval[0], "high": interval[1], "n": len(means)}
    told |= {name: int((some["status"] == name).sum()) for name in ("excluded", "missing")}
    return told | {"backend": ", ".join(sorted(set(some["backend"])))}


def shown(table: pd.DataFrame, tasks: Sequence[str] = (WHOLE, CLEAN)) -> str:
    """The table for a person."""
    rows = []
    for one in table[table["task"].isin(tasks)].to_dict("records"):
        mean = "-" if pd.isna(one["mean"]) else f"{one['mean']:.4f}"
        interval = "" if pd.isna(one["low"]) else f"[{one['low']:.4f}, {one['high']:.4f}]"
        of = f", {CLEAN}" if one["task"] == CLEAN else ""
        told = {"metric": f"{one['metric']} ({one['against']}{of})", "mean": mean, "95 %": interval}
        rows.append(told | {name: one[name] for name in ("n", "excluded", "missing", "backend")})
    return pd.DataFrame(rows).to_string(index=False)
