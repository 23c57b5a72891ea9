"""Figures 2-5, 9-15 and 19-26: grids of pictures, a sample a row, a system or a setting a column, chosen by a rule.

No sample is picked by hand. `seeded` takes them in a hash's order, the tasks in turn; the other rules rank the edits of
one column by CLIP-Dir, or by how far its rank is from the judge's.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from madi import images, shards
from madi.progress import progress
from madi.records import EDIT
from madi.samples import Sample, load
from madi.tables import grids, trace
from madi.tables.asking import merged, query_of
from madi.tables.board import combine
from madi.tables.figures.style import STYLE, plt, save
from madi.tables.sources import Source
from madi.tables.spec import Ask, Grid
from madi.tables.trace import Unit
from madi.tables.write import heading, table_name

CELL_PX, INCHES = 256, 1.45
DIR, JUDGE = "clip_dir/source", "qa_mllm/judge"


@dataclass(frozen=True)
class Filled:
    """A grid with its samples chosen. units: the edit of a column and sample, where there is one."""

    grid: Grid
    title: str
    rows: list[str]
    columns: list[str]
    units: dict[tuple[str, str], Unit]
    notes: dict[str, str]  # below an edit's picture, by its id


def fill(name: str, grid: Grid, source: Source) -> Filled:
    """Who is shown, and which edits. A column whose system was not run is left out."""
    columns, units = [], {}
    for key, column in grid.columns.items():
        of_all = Ask(benchmark=grid.benchmark, where=grid.where, metric=grid.metric)
        query = query_of(merged(of_all, Ask(), column), source)
        if query is None or not source.board.has(query):
            continue
        columns.append(key)
        answered = trace.rows(source.board.answer(query), source.board)
        units |= {(key, unit.sample_id): unit for unit in answered}
    title = heading(f"{table_name(name)}. {grid.title}" if name[-1].isdigit() else grid.title, source.bars, source.spec)
    by = grid.by or (columns[-1] if columns else "")
    mine = {sample: unit for (key, sample), unit in units.items() if key == by}
    rows = chosen(grid, mine, source)
    notes = {unit.edit_id: note(unit, grid, source) for (_, sample), unit in units.items() if sample in rows}
    return Filled(grid, title, rows, columns, units, notes)


def chosen(grid: Grid, units: dict[str, Unit], source: Source) -> list[str]:
    """The samples of a grid's rows, by its rule over the edits of one column."""
    if grid.rule == "seeded":
        known = source.samples[source.samples["benchmark"] == grid.benchmark]
        mine = known[known["sample_id"].isin(units)].sort_values(["complexity", "sample_id"]).to_dict("records")
        order = {row["sample_id"]: place for place, row in enumerate(mine)}
        found = grids.choose(mine, grid.rows, source.seed)[: grid.rows]
        return sorted(found, key=order.__getitem__) if mine and mine[0]["complexity"] else found
    values = ranked_by(grid.rule, units, source)
    ordered = sorted(values.index, key=lambda sample: (-values[sample], sample))
    if grid.rule == "worst":
        return ordered[::-1][: grid.rows]
    if grid.rule == "median":
        return sorted(ordered, key=lambda sample: (abs(values[sample] - values.median()), sample))[: grid.rows]
    if grid.rule == "spread":  # from the lowest to the highest, at even ranks
        places = np.linspace(len(ordered) - 1, 0, min(grid.rows, len(ordered))).round().astype(int)
        return [ordered[place] for place in places]
    return ordered[: grid.rows]


def ranked_by(rule: str, units: dict[str, Unit], source: Source) -> pd.Series:
    """What a rule ranks samples by: CLIP-Dir, or how far its rank is from the judge's."""
    scores = {name: pd.Series(score(name, units, source), dtype=float) for name in (DIR, JUDGE)}
    found = grids.ranks_apart(scores[DIR], scores[JUDGE]) if rule == "disagree" else scores[DIR]
    return found.dropna()


def score(name: str, units: dict[str, Unit], source: Source) -> dict[str, float]:
    """A score of each sample's edit."""
    at = {edit: row for row, edit in enumerate(source.board.keys["edit_id"])}
    values = source.board.column(name)[0]
    return {sample: float(values[at[unit.edit_id]]) for sample, unit in units.items()}


def note(unit: Unit, grid: Grid, source: Source) -> str:
    """The scores that a grid writes below a picture, and the pause count where the column chose among several."""
    told = [f"{unit.pause} pauses"] if unit.pause else []
    for name in grid.notes:
        metric = source.spec.metrics[name]
        parts = [score(part, {"": unit}, source)[""] for part in metric.parts]
        if np.isfinite(parts).all():
            value, _ = combine(np.array([parts]), "mean")
            told.append(f"{name} {value[0]:z.{metric.digits}f}")
    return "\n".join(" · ".join(told[place : place + 2]) for place in range(0, len(told), 2))


def draw(filled: Filled, samples: dict[str, Sample], made: dict[str, bytes]):
    """The figure: the instruction over each row, the source first where there is one. made: images by edit id."""
    across = ["source", *filled.columns] if any(samples[name].count for name in filled.rows) else filled.columns
    height = max(len(filled.rows), 1) * (INCHES + 0.5) + 0.65
    shape = {"figsize": (max(5.0, len(across) * INCHES + 0.2), height), "squeeze": False}
    figure, axes = plt.subplots(max(len(filled.rows), 1), max(len(across), 1), **shape)
    figure.subplots_adjust(left=0.01, right=0.99, bottom=0.12 / height, top=1 - 0.85 / height, hspace=0.4, wspace=0.04)
    title = "\n".join(textwrap.wrap(filled.title, 17 * max(3, len(across))))
    figure.suptitle(title, fontsize=10, x=0.01, y=1 - 0.08 / height, ha="left", va="top")
    for line in axes:
        for axis in line:
            axis.axis("off")
            axis.set_anchor("NW")
    for line, name in zip(axes, filled.rows):
        words = textwrap.wrap(samples[name].row["instruction"], 19 * len(across)) or [""]
        label = "\n".join(words[:2]) + (" …" if len(words) > 2 else "")
        line[0].set_zorder(2)  # its words reach over its neighbours
        line[0].set_title(label, fontsize=7.5, loc="left", color="#333333", pad=3)
        for axis, key in zip(line, across):
            cell(axis, key, name, filled, samples[name], made)
    for axis, key in zip(axes[0], across):
        axis.annotate(head(key, filled), (0, 1), (0, 24), "axes fraction", "offset points", fontsize=8, weight="bold")
    return figure


def head(key: str, filled: Filled) -> str:
    return "source" if key not in filled.grid.columns else filled.grid.columns[key].title or key


def cell(axis, key: str, name: str, filled: Filled, sample: Sample, made: dict[str, bytes]) -> None:
    """One picture with what is written below it."""
    unit = filled.units.get((key, name))
    if key not in filled.grid.columns:
        axis.imshow(montage([sample.source(n) for n in range(sample.count)]))
    elif unit is None or unit.edit_id not in made:
        axis.text(0.5, 0.5, "no edit", ha="center", va="center", fontsize=7, color="#777777")
    else:
        axis.imshow(small(images.decode(made[unit.edit_id], f"edit {unit.edit_id}")))
        axis.text(0.0, -0.02, filled.notes[unit.edit_id], transform=axis.transAxes, fontsize=5.5, va="top")


def montage(pictures: list[np.ndarray]) -> np.ndarray:
    """Several sources as one picture, side by side."""
    tall = min(picture.shape[0] for picture in pictures)
    fitted = [images.resize(p, tall, max(1, round(p.shape[1] * tall / p.shape[0]))) for p in pictures]
    return small(np.concatenate(fitted, axis=1))


def small(image: np.ndarray) -> np.ndarray:
    """At most CELL_PX on the longer side."""
    scale = CELL_PX / max(image.shape[:2])
    return image if scale >= 1 else images.resize(image, *(max(1, round(side * scale)) for side in image.shape[:2]))


def write(folder: Path, source: Source, samples: dict[str, Path], edits: list[Path]) -> list[Path]:
    """Write <grid>.png of every declared grid. samples: files by benchmark; edits: where their pictures are."""
    filled = {name: fill(name, grid, source) for name, grid in source.spec.grids.items()}
    wanted = {u.edit_id for one in filled.values() for (_, s), u in one.units.items() if s in one.rows}
    rows = shards.stream(edits, EDIT, ["edit_id", "image"])
    made = {row["edit_id"]: row["image"]["bytes"] for row in rows if row["edit_id"] in wanted and row["image"]}
    asked = {name: load(samples[name]) for name in {grid.benchmark for grid in source.spec.grids.values()}}
    written = []
    with plt.rc_context(STYLE | {"axes.grid": False}):
        for name, one in progress(filled.items(), len(filled), "draw pictures"):
            written += save(draw(one, asked[one.grid.benchmark], made), folder, name, ("png",))
    return written
