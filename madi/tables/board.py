"""All scores of a workflow, one line an edit, ready to be asked; and the question a cell asks, as data.

Shape legend: E edits on the board, U units of a cell (a sample of an editor; without a selection, an edit),
C candidates of a unit, K parts (scores that make up the cell's number of a sample).
"""

import json
from dataclasses import dataclass

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict

from madi.errors import MadiError
from madi.records import edit_id
from madi.samples import first
from madi.tables import choose

KEY = ["benchmark", "sample_id", "editor", "pause", "seed"]


class Query(BaseModel):
    """What a cell asks of the board, complete in itself: the same scores give the same cell."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    benchmark: str
    editors: list[str]
    pauses: list[int]
    seeds: list[int] | None  # None: every seed there is
    parts: list[str]
    combine: str = "mean"
    among: int | None = None  # of the samples, so many alone: those that an ask with this `take` edits
    select: str | None = None
    bar: float | None = None
    statistic: str = "mean"
    where: dict[str, list] = {}
    scale: float = 1.0
    rate: bool = False
    by_task: bool = False  # the mean of the tasks' means, instead of that of all samples


@dataclass
class Units:
    """The answer to a query: values of the units that have one, and where they come from.

    A sample of which only some seeds or editors are lost is both in `samples` and among the lost.
    """

    samples: np.ndarray  # [U] of those with a value
    groups: np.ndarray
    strata: np.ndarray
    edits: np.ndarray  # id of the edit that the value is of: the chosen one; for a recall, the nearest to the bar
    values: np.ndarray
    weights: np.ndarray
    excluded: set[str]  # samples lost to a rule
    missing: set[str]  # samples lost for want of an edit or a score
    asked: set[str]  # all that the query is about, those without a value and those that meet no bar too
    scores: list[tuple[str, str]]  # (score_id, edit_id)


class Board:
    """Scores as three arrays [E, metrics]: value (nan if none), status, id; edits sorted by key."""

    def __init__(self, scores: pd.DataFrame, samples: pd.DataFrame):
        scores = scores.assign(name=scores["metric"] + "/" + scores["against"])
        twice = scores.duplicated([*KEY, "name"])
        if twice.any():
            row = scores[twice].iloc[0]
            what = f"two scores {row['name']} of one edit"
            raise MadiError(what, named(row), "one, by one backend for each metric")
        hollow = (scores["status"] == "ok") & ~np.isfinite(scores["value"].astype(float))
        if hollow.any():
            row = scores[hollow].iloc[0]
            what = f"a score {row['name']} that is ok and {row['value']}"
            raise MadiError(what, named(row), "a finite number, or the status missing", "score the edits again")
        wide = scores.set_index([*KEY, "name"]).sort_index()
        self.values = wide["value"].astype(float).unstack("name")
        self.status = wide["status"].unstack("name")
        self.ids = wide["score_id"].unstack("name")
        self.edits = self.values.index.to_frame(index=False)
        self.edits["edit_id"] = [edit_id(row) for row in self.edits.to_dict("records")]
        self._describe(samples)

    def _describe(self, samples: pd.DataFrame) -> None:
        facts = samples.set_index(["benchmark", "sample_id"])
        if not facts.index.is_unique:
            benchmark, name = facts.index[facts.index.duplicated()][0]
            raise MadiError(f"sample {name} is there twice", benchmark, "each sample once", "prepare the samples again")
        found = facts.reindex(pd.MultiIndex.from_frame(self.edits[["benchmark", "sample_id"]]))
        unknown = found["group_id"].isna().to_numpy()
        if unknown.any():
            row = self.edits[unknown].iloc[0]
            raise MadiError(f"scores of sample {row.sample_id}, which is not in the samples", where=row.benchmark)
        for name in ("group_id", "task", "complexity"):
            self.edits[name] = found[name].to_numpy()
        followed = set(zip(samples["benchmark"], samples["follows"]))
        keys = zip(self.edits["benchmark"], self.edits["sample_id"])
        self.edits["last_turn"] = [key not in followed for key in keys]
        self.groups: dict[str, dict[str, str]] = {}
        for benchmark, sample, group in zip(samples["benchmark"], samples["sample_id"], samples["group_id"]):
            self.groups.setdefault(benchmark, {})[sample] = group
        specs = {spec: (tag_of(spec), captions_of(spec)) for spec in set(found["spec"])}
        for place, name in enumerate(("tag", "captions")):
            self.edits[name] = [specs[spec][place] for spec in found["spec"]]
        self.keys = {name: self.edits[name].to_numpy() for name in self.edits}
        keys = (self.keys[name].tolist() for name in ("benchmark", "editor", "pause", "seed"))
        self.asked = set(zip(*keys))  # what was tried on at least one sample
        self.columns = {name: self._column(name) for name in self.values}
        self.rows = {edit: row for row, edit in enumerate(self.keys["edit_id"])}

    def has(self, query: Query) -> bool:
        """Whether every editor was asked for every pause and seed of the query, and any edit is of its `where`."""
        seeds = query.seeds or {s for b, e, _, s in self.asked if b == query.benchmark and e in query.editors}
        wanted = {(query.benchmark, e, p, s) for e in query.editors for p in query.pauses for s in seeds}
        return bool(wanted) and wanted <= self.asked and bool(self._asked_for(query).any())

    def column(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Value, status and score id [E] of one metric; nothing where it was never scored."""
        if name in self.columns:
            return self.columns[name]
        count = len(self.edits)
        return np.full(count, np.nan), np.full(count, None, object), np.full(count, None, object)

    def _column(self, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        status = self.status[name].to_numpy(object)
        return np.where(status == "ok", self.values[name], np.nan), status, self.ids[name].to_numpy(object)

    def name_of(self, edit: str, score: str | None = None) -> str:
        """`editor/benchmark/sample/pause 0/seed 0` of an edit, and of a score its metric; what is known of them."""
        row = self.rows.get(edit)
        if row is None:
            return "(of an edit that is not scored now)"
        said = place({name: self.keys[name][row] for name in KEY})
        metric = next((name for name, (_, _, ids) in self.columns.items() if ids[row] == score), None)
        return f"{said} {metric}" if metric and score else said

    def answer(self, query: Query) -> Units:
        """The units of a query, with the scores that its numbers come from."""
        rows_UC = self._candidates(query)
        chosen_U, used, undecided_U = self._choose(query, rows_UC)
        rows_U = np.where(chosen_U >= 0, rows_UC[np.arange(len(rows_UC)), chosen_U], -1)
        parts = [self.column(name) for name in query.parts]
        picked = rows_U[rows_U >= 0]
        used += [(ids, picked) for _, _, ids in parts]
        values_UK = np.stack([values[picked] for values, _, _ in parts], axis=1)
        whole = np.isfinite(values_UK).all(axis=1)
        barred = np.array([any(status[row] == "excluded" for _, status, _ in parts) for row in picked], bool)
        values_U, weights_U = combine(values_UK[whole], query.combine)
        keep = picked[whole][weights_U > 0]
        if query.by_task:
            weights_U[weights_U > 0] /= self._sharing(keep)
        undecided = {why: rows_UC.max(axis=1, initial=-1)[undecided_U == why] for why in ("excluded", "missing")}
        return Units(
            samples=self.keys["sample_id"][keep].astype(str),
            groups=self.keys["group_id"][keep].astype(str),
            strata=self.keys["tag"][keep].astype(str),
            edits=self.keys["edit_id"][keep].astype(str),
            values=values_U[weights_U > 0] * query.scale,
            weights=weights_U[weights_U > 0],
            excluded=self._samples(picked[barred & ~whole], picked[whole][weights_U == 0], undecided["excluded"]),
            missing=self._samples(picked[~barred & ~whole], undecided["missing"]),
            asked=self._samples(rows_UC.max(axis=1, initial=-1)),
            scores=self._lineage(used),
        )

    def _sharing(self, rows: np.ndarray) -> np.ndarray:
        """How many of these rows are of each row's task."""
        tasks = pd.Series(list(zip(self.keys["tag"][rows], self.keys["task"][rows])))
        return tasks.map(tasks.value_counts()).to_numpy(float)

    def tags(self, query: Query) -> set[str]:
        """Tags of the samples that a query is about."""
        return set(self.keys["tag"][self._asked_for(query)])

    def _asked_for(self, query: Query) -> np.ndarray:
        """Bool [E]: the edits that a query is about. A small scale may have no sample of some task or level."""
        keys = self.keys
        mask = (keys["benchmark"] == query.benchmark) & np.isin(keys["pause"], query.pauses)
        for name, allowed in {"editor": query.editors, **query.where}.items():
            mask &= np.any([keys[name] == value for value in allowed], axis=0)
        if query.seeds is not None:
            mask &= np.isin(keys["seed"], query.seeds)
        if query.among is not None:
            groups = self.groups.get(query.benchmark, {})
            mask &= np.isin(keys["sample_id"].astype(str), sorted(first(groups, query.among)))
        return mask

    def _candidates(self, query: Query) -> np.ndarray:
        """Rows of the board [U, C] by unit and candidate; without a selection each edit is a unit of its own.

        A sample with fewer candidates than others was not scaled (an ask may `take` some samples alone) and is no unit:
        what is chosen among one is no choice, and both sides of a comparison are of the same samples.
        """
        rows = np.flatnonzero(self._asked_for(query))
        if query.select is None:
            return rows[:, None]
        unit = self._number(rows, "sample_id", "editor")
        place = self._number(rows, "pause", "seed")
        rows_UC = np.full((unit.max(initial=-1) + 1, place.max(initial=-1) + 1), -1)
        rows_UC[unit, place] = rows
        return rows_UC[(rows_UC >= 0).all(axis=1)]

    def _number(self, rows: np.ndarray, *names: str) -> np.ndarray:
        """The place of each row's key among the sorted keys there are."""
        keys = list(zip(*(self.keys[name][rows].tolist() for name in names)))
        places = {key: place for place, key in enumerate(sorted(set(keys)))}
        return np.array([places[key] for key in keys], int)

    def _choose(self, query: Query, rows_UC: np.ndarray):
        """Chosen candidate [U]; the scores looked at; and why nothing was chosen ("", excluded, missing) [U]."""
        nothing_U = np.full(len(rows_UC), "", object)
        if query.select is None:
            return np.zeros(len(rows_UC), int), [], nothing_U
        rule = choose.RULES[query.select]
        look = {name: self.column(name) for name in {rule.objective, rule.guard} - {None}}
        there = rows_UC >= 0
        grid = {name: np.where(there, values[rows_UC], np.nan) for name, (values, _, _) in look.items()}
        used = [(ids, rows_UC[there]) for _, _, ids in look.values()]
        if rule.guard is None:
            chosen_U = choose.best(grid[rule.objective])
        else:
            chosen_U = choose.best_within(grid[rule.objective], choose.admitted(grid[rule.guard], query.bar))
        # A sample is lost for want of scores only; one that met no bar was judged, and lowers the recall instead.
        decisive = rule.guard or rule.objective
        barred_U = ((look[decisive][1][rows_UC] == "excluded") & there).any(axis=1)
        lost_U = ~np.isfinite(grid[decisive]).any(axis=1)
        return chosen_U, used, np.where(lost_U, np.where(barred_U, "excluded", "missing"), nothing_U)

    def recall(self, query: Query) -> Units:
        """Units with value 1 where some candidate meets the bar and 0 where none does."""
        guard = choose.RULES[query.select].guard
        rows_UC = self._candidates(query)
        values, _, ids = self.column(guard)
        _, _, undecided_U = self._choose(query, rows_UC)
        there = rows_UC >= 0
        grid_UC = np.where(there, values[rows_UC], np.nan)
        known = np.isfinite(grid_UC).any(axis=1)
        some_U = rows_UC.max(axis=1, initial=-1)  # any of the unit's edits: all are of one sample
        nearest_U = choose.best(grid_UC)  # the edit that meets the bar, if one does
        first = some_U[known]
        met = choose.admitted(grid_UC, query.bar).any(axis=1)[known].astype(float)
        return Units(
            samples=self.keys["sample_id"][first].astype(str),
            groups=self.keys["group_id"][first].astype(str),
            strata=self.keys["tag"][first].astype(str),
            edits=self.keys["edit_id"][rows_UC[np.flatnonzero(known), nearest_U[known]]].astype(str),
            values=met * query.scale,
            weights=np.ones(len(met)),
            excluded=self._samples(some_U[undecided_U == "excluded"]),
            missing=self._samples(some_U[undecided_U == "missing"]),
            asked=self._samples(some_U),
            scores=self._lineage([(ids, rows_UC[there])]),
        )

    def _samples(self, *rows: np.ndarray) -> set[str]:
        """The samples that these edits are of."""
        return set(self.keys["sample_id"][np.concatenate(rows)].astype(str).tolist())

    def _lineage(self, used: list[tuple[np.ndarray, np.ndarray]]) -> list[tuple[str, str]]:
        edit_ids = self.keys["edit_id"]
        found = {(ids[row], edit_ids[row]) for ids, rows in used for row in rows if isinstance(ids[row], str)}
        return sorted(found)


def place(edit: dict) -> str:
    """Which edit it is, for people."""
    return "{editor}/{benchmark}/{sample_id}/pause {pause}/seed {seed}".format(**edit)


def combine(parts_UK: np.ndarray, how: str) -> tuple[np.ndarray, np.ndarray]:
    """Value and weight [U] of each sample from its K scores."""
    values = parts_UK.mean(axis=1) if len(parts_UK) else np.zeros(0)
    if how == "filtered":  # parts are IF and IDP, in this order
        return values, choose.discord_weight(parts_UK[:, 0], parts_UK[:, 1])
    return values, np.ones(len(values))


def named(row: pd.Series) -> str:
    """The edit of a score, for people."""
    return f"{row['editor']}/{row['benchmark']}/{row['sample_id']}/pause {row['pause']}/seed {row['seed']}"


def captions_of(spec: object) -> str:
    """`clean`, or what is wrong with a sample's captions, as its reader says (Emu Edit's does)."""
    return json.loads(spec).get("captions", "clean") if isinstance(spec, str) else "clean"


def tag_of(spec: object) -> str:
    """What a macro mean is over, in a sample's spec: GenEval's tag, IDEA-Bench's category; empty for other samples."""
    told = json.loads(spec) if isinstance(spec, str) else {}
    return told["geneval"]["tag"] if told.get("geneval") else told.get("category") or ""
