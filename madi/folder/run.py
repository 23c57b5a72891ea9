"""Scores the images of a folder by a benchmark's own numbers: whoever made them, with whatever.

The images are edits like any others: the folder editor reads them, the score stage scores them, the tables' statistics
give the intervals.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from madi import samples, shards, stats
from madi.config import JudgeSlice, ScoreSlice
from madi.edit.editors.folder import Folder
from madi.edit.work import Work, record
from madi.editors import FolderEditor, Turns
from madi.errors import MadiError
from madi.options import shipped
from madi.progress import progress, say
from madi.records import ANSWER, EDIT, SCORE
from madi.score import shard
from madi.settings import GenEval

RESAMPLES, SEED = 10_000, 0
WHOLE, CLEAN = "all", "clean captions"
MACRO = ("geneval_correct",)  # whose mean is over GenEval's tags, as its summary has it


@dataclass(frozen=True)
class Asked:
    """What is scored, and by which models.

    clip, dino: None is the small one that ships on pictures of the small world, and none on any other: their scores are
    then missing. seeds: images a sample (GenEval has four). turns: what later turns of a session edited; with `own`,
    its last turn alone is scored (MagicBrush's final-turn protocol)."""

    folder: Path
    layout: str
    samples: Path
    benchmark: str
    clip: Path | None
    dino: Path | None
    geneval: GenEval
    turns: Turns
    seeds: int
    batch: int
    threads: int
    device: str = "cpu"


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
    models = towers(asked, found) | {"geneval": asked.geneval, "device": asked.device}
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


def towers(asked: Asked, found: dict[str, samples.Sample]) -> dict[str, str | None]:
    """The folders of CLIP and DINO; None where nobody named one and the pictures are not of the small world."""
    small = all(one.of_scenes for one in found.values())
    named = {"clip": asked.clip, "dino": asked.dino}
    return {kind: str(folder or shipped(kind)) if folder or small else None for kind, folder in named.items()}


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
    """What a breakdown is by: GenEval's tag, else the task, else the complexity."""
    row = sample.row
    if (rule := sample.spec().get("geneval")) and not sample.count:
        return rule["tag"]
    return row["task"] or (f"level {row['complexity']}" if row["complexity"] else "none")


def captions_clean(sample: samples.Sample) -> bool:
    """Whether a sample's captions describe its pictures, as its reader says (Emu Edit's does)."""
    return sample.spec().get("captions", "clean") == "clean"


def lines(frame: pd.DataFrame) -> list[dict]:
    """A line a metric for all samples, one for those with clean captions if others have none, then one a task."""
    found = []
    for (metric, against), some in frame.groupby(["metric", "against"], sort=False):
        parts = {task: mine for task, mine in some.groupby("task")}
        macro_of = parts if metric in MACRO else None
        found.append(line(metric, against, WHOLE, some, macro_of))
        if not some["clean"].all():
            found.append(line(metric, against, CLEAN, some[some["clean"]]))
        if len(parts) > 1:
            found += [line(metric, against, task, mine) for task, mine in parts.items()]
    return found


def line(
    metric: str, against: str, task: str, some: pd.DataFrame, parts: dict[str, pd.DataFrame] | None = None
) -> dict:
    """Mean over images, 95 % interval over groups, and how many samples there are, excluded and missing.

    parts: where the mean is the unweighted mean over these. Where one of them has no value, there is none: a mean over
    fewer tags is another number. `reason`: why most of what is missing is."""
    mean, interval = macro(parts) if parts else plain(some)
    low, high = interval or (None, None)
    told = {"metric": metric, "against": against, "task": task, "mean": mean, "low": low, "high": high}
    told |= {"n": some[some["status"] == "ok"]["sample_id"].nunique()}
    told |= {name: int((some["status"] == name).sum()) for name in ("excluded", "missing")}
    told |= {"statistic": "mean over tags" if parts else "mean"}
    told |= {"backend": "; ".join(sorted(set(some["backend"])))}
    return told | {"reason": next(iter(dict(Counter(some[some["status"] == "missing"]["reason"]).most_common(1))), "")}


def plain(some: pd.DataFrame) -> tuple[float | None, stats.Interval]:
    """The mean over images and its interval."""
    sums = sums_of(some)
    return sums.ratio, stats.mean_interval(sums, RESAMPLES, SEED)


def macro(parts: dict[str, pd.DataFrame]) -> tuple[float | None, stats.Interval]:
    """The mean of the parts' means and its interval; none where a part has no value."""
    strata = {name: sums_of(mine) for name, mine in parts.items()}
    ratios = [sums.ratio for sums in strata.values()]
    if None in ratios:
        return None, None
    return sum(ratios) / len(ratios), stats.macro_interval(strata, RESAMPLES, SEED)


def sums_of(some: pd.DataFrame) -> stats.Sums:
    """The sums behind a mean over all images that have a value."""
    there = some[some["status"] == "ok"]
    return stats.group_sums(there["value"].to_numpy(float), there["group_id"].to_numpy(str))


def shown(table: pd.DataFrame, tasks: Sequence[str] = (WHOLE, CLEAN)) -> str:
    """The table for a person; below it why a metric has no number at all."""
    rows, lost = [], []
    for one in table[table["task"].isin(tasks)].to_dict("records"):
        mean = "-" if pd.isna(one["mean"]) else f"{one['mean']:.4f}"
        interval = "" if pd.isna(one["low"]) else f"[{one['low']:.4f}, {one['high']:.4f}]"
        of = f", {CLEAN}" if one["task"] == CLEAN else ""
        told = {"metric": f"{one['metric']} ({one['against']}{of})", "mean": mean, "95 %": interval}
        rows.append(told | {name: one[name] for name in ("n", "excluded", "missing", "backend")})
        if one["missing"] and not one["n"]:
            lost.append(f"{told['metric']}: {one['reason']}")
    return "\n".join([pd.DataFrame(rows).to_string(index=False), *lost])
