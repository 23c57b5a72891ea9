"""All that cells are made from: the declared tables, the scores, the printed values, the bars of the thresholds."""

import csv
import json
import math
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd

from madi import shards
from madi.errors import MadiError
from madi.records import EDIT, SAMPLE, SCORE
from madi.settings import Ask
from madi.tables.board import Board, Query
from madi.tables.spec import TablesSpec

Reported = dict[tuple[str, str, str, str], str]
EDIT_FACTS = ["edit_id", "editor", "benchmark", "sample_id", "pause", "seed", "tokens", "sampler_steps"]
SAMPLE_FACTS = ["sample_id", "group_id", "task", "complexity", "spec", "follows"]


@dataclass
class Source:
    """All that cells are made from."""

    spec: TablesSpec
    board: Board
    samples: pd.DataFrame
    reported: Reported
    settings: dict  # the tables slice, for cells of kind config
    bars: dict[str, float | None]
    resamples: int
    seed: int
    prints: dict[str, str] = field(default_factory=dict)  # score or edit id -> what its digest is made of
    made_by: dict[str, set[str]] = field(default_factory=dict)  # editor -> config_sha of its edits
    edits: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=EDIT_FACTS))


def reported_rows(path: str | Path) -> list[tuple[str, str, str, str, str, str]]:
    """(table, block, row, column, system, value) of each printed value. Errors: MadiError naming what is missing, or
    the row that repeats another."""
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as fault:
        what = getattr(fault, "strerror", None) or f"cannot be read ({fault})"
        raise MadiError(what, where=path, expected="a table as CSV in UTF-8") from None
    found, known = [], set()
    for number, row in enumerate(rows, 2):
        try:
            key = (row["table"], row["block"], row["row"], row["column"])
            value = row["value"]
        except KeyError as name:
            raise MadiError(f"column {name} is missing", where=path, expected="table,block,row,column,value") from None
        if key in known and key[0] != "text":  # the paper's text repeats itself; its tables do not
            raise MadiError(f"a second value for {'/'.join(key)}", where=f"{path} row {number}")
        known.add(key)
        found.append((*key, row.get("system") or "", value))
    return found


def read_reported(path: str | Path) -> Reported:
    """Printed values by (table, block, row, column). Errors: as `reported_rows`."""
    return {(table, block, row, column): value for table, block, row, column, _, value in reported_rows(path)}


def as_number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


def bars_of(spec: TablesSpec, board: Board, asked: dict[str, dict]) -> dict[str, float | None]:
    """Each threshold as a number: the config's value, or its quantile (a score that occurs) of the named scores."""
    bars = {}
    for name, threshold in spec.thresholds.items():
        if (value := asked[name].get("value")) is None:
            editors = spec.systems[threshold.system].editors
            query = Query(
                benchmark=threshold.benchmark, editors=editors, pauses=[0], seeds=[0], parts=[threshold.score]
            )
            found = board.answer(query).values
            value = float(np.quantile(found, asked[name]["quantile"], method="lower")) if len(found) else None
        bars[name] = value
    return bars


def read_samples(paths: dict[str, Path]) -> pd.DataFrame:
    """What tables need to know of the samples of each benchmark: no images."""
    frames = [shards.frame(path, SAMPLE, SAMPLE_FACTS).assign(benchmark=name) for name, path in paths.items()]
    return pd.concat(frames, ignore_index=True)


def hold_whole(scores: pd.DataFrame, samples: pd.DataFrame, asks: list[Ask]) -> None:
    """Holds that an editor's edits are of all samples that the asks take: one that failed has its rows, and is counted.

    Errors: MadiError for edits without any score, which no cell would count as lost.
    """
    sizes = samples.groupby("benchmark")["sample_id"].nunique()
    wanted: dict[tuple, int] = {}
    for ask in asks:
        count = min(ask.take or math.inf, sizes.get(ask.benchmark, 0))
        for key in product(ask.editors, [ask.benchmark], ask.pauses, ask.seeds):
            wanted[key] = max(wanted.get(key, 0), count)
    there = scores.groupby(["editor", "benchmark", "pause", "seed"])["sample_id"].nunique()
    for key, count in there.items():
        if count < wanted.get(key, 0):
            where = "{}/{}/pause {}/seed {}".format(*key)
            raise MadiError(f"scores of {count} samples", where, f"of {wanted[key]}", "make and score the edits again")


def prints_of(scores: pd.DataFrame, edits: pd.DataFrame) -> dict[str, str]:
    """What a cell's digest is made of: each score's value and status, each edit's first 16 digits of its image's hash,
    by id."""
    prints = {row.score_id: f"{row.value!r} {row.status}" for row in scores.itertuples()}
    return prints | dict(zip(edits["edit_id"], edits["image_sha"].fillna("").str[:16]))


def read_source(
    config, samples: dict[str, Path], scores: list[Path], edits: list[Path], reported: str | Path
) -> Source:
    """Read everything that the tables of one slice need. Errors: MadiError naming the file, row and field."""
    spec = TablesSpec.model_validate(config.tables)
    frame = shards.frame(scores, SCORE)
    known = read_samples(samples)
    hold_whole(frame, known, config.asks)
    board = Board(frame, known)
    made = shards.frame(edits, EDIT, [*EDIT_FACTS, "image_sha", "config_sha"])
    made_by = {name: set(some["config_sha"]) for name, some in made.groupby("editor")}
    settings = config.model_dump(mode="json", exclude={"tables"})
    bars = bars_of(spec, board, {"dino": settings["dino_threshold"], "clip_dir": settings["clip_dir_threshold"]})
    printed, prints = read_reported(reported), prints_of(frame, made)
    return Source(spec, board, known, printed, settings, bars, config.resamples, config.seed, prints, made_by, made)


def bars_in(cells: list[dict]) -> dict[str, float | None]:
    """The bars that a workflow's cells were held to, read back from their queries."""
    bars: dict[str, float | None] = {}
    for cell in cells:
        ask = json.loads(cell["query"])["ask"] or {}
        if ask.get("bar") is not None:
            bars[ask["select"].removesuffix("_at_least")] = ask["bar"]
    return bars
