"""The page's pictures: a card for each sample shown, with why it is shown, what was given, and what systems made."""

from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from madi import shards
from madi.records import EDIT
from madi.samples import load
from madi.tables import grids
from madi.tables.board import Board
from madi.tables.spec import TablesSpec
from madi.tables.words import BENCHMARKS

MAIN, LOOKED_AT = "magd_ep", ("emu_edit", "magicbrush")  # whose edits, and on what, the extremes are of
DIR, JUDGE = "clip_dir/source", "qa_mllm/judge"
SCORES = {DIR: ("dir", "CLIP-Dir"), "dino/source": ("dino", "DINO"), JUDGE: ("judge", "judge's MLLM")}
MARKS = ("oracle_if/truth", "oracle_idp/truth", "geneval_correct/truth")
WHYS = {
    "seeded": "seeded choice",
    "top": "highest CLIP-Dir of its task",
    "median": "median CLIP-Dir of its task",
    "worst": "lowest CLIP-Dir of its task",
    "apart": "CLIP-Dir and judge disagree",
}


@dataclass
class Shown:
    """One picture with its caption; `uri` None: the edit failed. The rest is of edits only."""

    caption: str
    uri: str | None
    note: str = ""
    pause: int = 0
    number: int = 0  # on the page
    scores: dict[str, float] = field(default_factory=dict)  # short name -> value


@dataclass
class Made:
    """What one system made of a sample."""

    name: str
    title: str
    colour: str
    shown: list[Shown]


@dataclass
class Card:
    """One sample on the page."""

    number: int
    benchmark: str
    sample_id: str
    chip: str  # task or level, and turn
    kinds: list[tuple[str, str]]  # (task, level or tag; which): what it is found by
    whys: list[str]
    instruction: str
    given: list[Shown] = field(default_factory=list)
    systems: list[Made] = field(default_factory=list)

    @property
    def title(self) -> str:
        return BENCHMARKS.get(self.benchmark, self.benchmark)


def edit_scores(board: Board) -> pd.DataFrame:
    """Scores and marks of all edits of the first seed, and `apart`: how far CLIP-Dir's and the judge's rank of an edit
    are apart among the edits of its benchmark, editor and pause count. By benchmark, editor, pause, sample."""
    first = board.keys["seed"] == 0
    keys = ["benchmark", "editor", "pause", "sample_id"]
    index = pd.MultiIndex.from_arrays([board.keys[key][first] for key in keys], names=keys)
    frame = pd.DataFrame({name: board.column(name)[0][first] for name in (*SCORES, *MARKS)}, index=index).astype(float)
    frame["apart"] = np.nan
    for _, some in frame.groupby(level=keys[:3], sort=False, observed=True):
        frame.loc[some.index, "apart"] = grids.ranks_apart(some[DIR], some[JUDGE])
    return frame.sort_index()


def cards(config, spec: TablesSpec, samples: dict[str, Path], edits: list[Path], scores: pd.DataFrame) -> list[Card]:
    """Cards of every benchmark that has samples, in the order of tables.yaml, within one in the order of its file."""
    chosen: list[tuple[str, dict, list[str]]] = []
    for name in spec.galleries:
        if name in samples:
            rows = [sample.row for sample in load(samples[name]).values()]  # pictures stay on disk till they are shown
            whys = why_shown(name, rows, config, spec, scores)
            chosen += [(name, row, whys[row["sample_id"]]) for row in rows if row["sample_id"] in whys]
    found = edits_of({(name, row["sample_id"]) for name, row, _ in chosen}, spec, edits)
    made = []
    for number, (name, row, whys) in enumerate(chosen):
        made.append(card(number, name, row, whys))
        made[-1].systems = systems_of(name, found[name, row["sample_id"]], scores, spec)
    pictures = (shown for one in made for system in one.systems for shown in system.shown)
    for number, shown in enumerate(pictures):
        shown.number = number
    return made


def why_shown(name: str, rows: list[dict], config, spec: TablesSpec, scores: pd.DataFrame) -> dict[str, list[str]]:
    """Sample -> why it is shown, for those that are: keys of WHYS in their order."""
    whys: dict[str, list[str]] = defaultdict(list)
    for sample in grids.choose(rows, config.gallery, config.seed):
        whys[sample].append("seeded")
    main = spec.systems.get(MAIN)
    if config.gallery and main and main.editors and name in LOOKED_AT and MAIN in spec.galleries[name]:
        key = (name, main.editors[0], 0)
        mine = scores.loc[key] if key in scores.index.droplevel("sample_id") else scores.iloc[:0].droplevel([0, 1, 2])
        tasks = {row["sample_id"]: str(row["task"]) for row in rows}
        for sample, why in grids.extremes(mine[DIR].dropna().to_dict(), tasks).items():
            whys[sample].append(why)
        for sample in grids.most_apart(mine["apart"].dropna().to_dict()):
            whys[sample].append("apart")
    return whys


def edits_of(wanted: set[tuple[str, str]], spec: TablesSpec, edits: list[Path]) -> dict[tuple[str, str], dict]:
    """(benchmark, sample) -> (editor, pause) -> Edit row of the first seed, of the editors that its gallery shows."""
    shown = {name: {spec.systems[s].editors[0] for s in mine} for name, mine in spec.galleries.items()}
    found: dict[tuple[str, str], dict] = defaultdict(dict)
    for row in shards.stream(edits, EDIT):
        key = (row["benchmark"], row["sample_id"])
        if row["seed"] == 0 and key in wanted and row["editor"] in shown[row["benchmark"]]:
            found[key][row["editor"], row["pause"]] = row
    return found


def card(number: int, benchmark: str, sample: dict, whys: list[str]) -> Card:
    """A sample's card with what was given and one right answer, no system yet."""
    chip, kinds = kinds_of(sample, benchmark)
    made = Card(number, benchmark, sample["sample_id"], chip, kinds, whys, sample["instruction"])
    many = len(sample["sources"]) > 1
    for place, image in enumerate(sample["sources"], 1):
        uri = grids.thumbnail(image["bytes"], f"sample {sample['sample_id']} source {place}")
        made.given.append(Shown(f"source {place}" if many else "source", uri))
    if sample["target"]:
        uri = grids.thumbnail(sample["target"]["bytes"], f"sample {sample['sample_id']} target")
        made.given.append(Shown("one right answer", uri))
    return made


def kinds_of(sample: dict, benchmark: str) -> tuple[str, list[tuple[str, str]]]:
    """A chip's text, the task or the level where it says more; and what the sample is found by."""
    task, level = str(sample["task"] or "").replace("_", " "), sample["complexity"]
    kinds = [("tag" if benchmark == "geneval" else "task", task)] if task else []
    if level:
        kinds.append(("level", f"level {level}"))
    turn = f", turn {sample['turn']}" if sample.get("turn") else ""
    return (f"level {level}" if level and level > 1 else task + turn), kinds


def systems_of(benchmark: str, edits: dict, scores: pd.DataFrame, spec: TablesSpec) -> list[Made]:
    """What each system of a gallery made of one sample, fewest pauses first."""
    made = []
    for name in spec.galleries[benchmark]:
        system = spec.systems[name]
        mine = sorted((pause, editor) for editor, pause in edits if editor in system.editors[:1])
        shown = [picture(edits[editor, pause], len(mine) > 1, scores) for pause, editor in mine]
        if shown:
            made.append(Made(name, system.title, system.colour, shown))
    return made


def picture(row: dict, scaled: bool, scores: pd.DataFrame) -> Shown:
    """One edit with its scores."""
    caption = f"{row['pause']} pauses" if scaled else ""
    if not row["image"]:
        return Shown(caption, None, row["reason"] or row["status"], row["pause"])
    key = (row["benchmark"], row["editor"], row["pause"], row["sample_id"])
    told = scores.loc[key].dropna().to_dict() if key in scores.index else {}
    short = {name: told[score] for score, (name, _) in SCORES.items() if score in told}
    if "apart" in told:
        short["apart"] = told["apart"]
    uri = grids.thumbnail(row["image"]["bytes"], f"edit {row['edit_id']}")
    return Shown(caption, uri, mark(*(told.get(name) for name in MARKS)), row["pause"], 0, short)


def mark(following: float | None, preservation: float | None, correct: float | None) -> str:
    """A short note: what the oracle, or GenEval's rule, says of an edit."""
    if correct is not None:
        return "right" if correct else "wrong"
    parts = [f"{name} {value:.0f}" for name, value in (("IF", following), ("ID", preservation)) if value is not None]
    return " · ".join(parts)
