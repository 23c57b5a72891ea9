"""One self-contained HTML page: every table, the plots and the pictures. All text from data is escaped by jinja2."""

import base64
import json
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import jinja2
import pandas as pd

from madi import shards
from madi.records import EDIT, SCORE, edit_id
from madi.samples import load
from madi.tables import grids, summary, validity, write
from madi.tables.sources import bars_in, read_samples
from madi.tables.spec import Table, TablesSpec

LIMIT_MB = 15
BENCHMARKS = {
    "emu_edit": "Emu-Edit",
    "magicbrush": "MagicBrush",
    "complex_edit": "Complex-Edit",
    "idea_bench": "IDEA-Bench",
    "geneval": "GenEval",
}


@dataclass
class RowView:
    title: str
    kind: str  # paper, extra, reference
    colour: str
    note: str  # said once where it holds of the whole row
    cells: list[write.View]


@dataclass
class BlockView:
    title: str
    groups: list[tuple[str, int]]  # heading and how many columns it spans; empty if there are none
    columns: list[tuple[str, bool]]  # title, extra
    rows: list[RowView]


@dataclass
class TableView:
    anchor: str
    name: str
    title: str
    caption: str
    blocks: list[BlockView]
    plot: str = ""  # data URI of the figure


def table_view(name: str, table: Table, cells: write.Cells, bars: dict, spec: TablesSpec) -> TableView:
    """A declared table as the template shows it."""
    blocks = []
    for key, block in table.blocks.items():
        heads = write.column_titles(block, bars, spec)
        rows = []
        for row, (title, kind) in write.row_titles(block, spec).items():
            views = [write.view(cells[name, key, row, column]) for column in block.columns]
            system = row if kind == "reference" else block.rows[row].system or block.system
            rows.append(RowView(title, kind, colour_of(system, spec), shared_note(views), views))
        columns = [(heads[c][1], block.columns[c].extra) for c in block.columns]
        blocks.append(BlockView(block.title or "", spans([group for group, _ in heads.values()]), columns, rows))
    title, caption = (write.heading(text, bars, spec) for text in (table.title, table.caption))
    return TableView(f"table-{name}", write.table_name(name), title, caption, blocks)


def colour_of(system: str | None, spec: TablesSpec) -> str:
    """The colour of a system that is run here, empty for those only reported."""
    return spec.systems[system].colour if system and spec.systems[system].editors else ""


def shared_note(views: list[write.View]) -> str:
    notes = {view.note for view in views if view.note}
    return notes.pop() if len(notes) == 1 and all(view.note or view.text == "–" for view in views) else ""


def spans(groups: list[str]) -> list[tuple[str, int]]:
    """Neighbouring columns of one heading together; empty if no column has one."""
    found: list[tuple[str, int]] = []
    for group in groups:
        if found and found[-1][0] == group:
            found[-1] = (group, found[-1][1] + 1)
        else:
            found.append((group, 1))
    return found if any(group for group, _ in found) else []


def galleries(
    config, spec: TablesSpec, samples: dict[str, Path], edits: list[Path], marks: dict[str, str]
) -> list[tuple[str, str, list[grids.Card]]]:
    """(benchmark, title, cards) of every benchmark that has samples, in the order of tables.yaml."""
    shown: dict[str, list[dict]] = {}
    for name in spec.galleries:
        if name in samples:
            rows = [sample.row for sample in load(samples[name]).values()]  # pictures stay on disk till they are shown
            chosen = set(grids.choose(rows, config.gallery, config.seed))
            shown[name] = [row for row in rows if row["sample_id"] in chosen]
    wanted = {(name, row["sample_id"]) for name, rows in shown.items() for row in rows}
    found: dict[tuple[str, str], dict] = defaultdict(dict)
    for row in shards.stream(edits, EDIT):
        if row["seed"] == 0 and (row["benchmark"], row["sample_id"]) in wanted:
            found[row["benchmark"], row["sample_id"]][row["editor"], row["pause"]] = row
    return [
        (
            name,
            BENCHMARKS.get(name, name),
            [grids.card(row, found[name, row["sample_id"]], spec.galleries[name], marks, spec) for row in rows],
        )
        for name, rows in shown.items()
    ]


def marks_of(scores: pd.DataFrame) -> dict[str, str]:
    """A short note for each edit: what the oracle, or GenEval's rule, says of it."""
    wanted = {"oracle_if": 0, "oracle_idp": 1, "geneval_correct": 2}
    ok = scores[scores.metric.isin(wanted) & (scores.status == "ok") & (scores.seed == 0)]
    found: dict[str, list] = defaultdict(lambda: [None] * 3)
    for row in ok.to_dict("records"):
        found[edit_id(row)][wanted[row["metric"]]] = row["value"]
    return {edit: mark(*values) for edit, values in found.items()}


def mark(following: float | None, preservation: float | None, correct: float | None) -> str:
    if correct is not None:
        return "right" if correct else "wrong"
    parts = [f"{name} {value:.0f}" for name, value in (("IF", following), ("ID", preservation)) if value is not None]
    return " · ".join(parts)


def plot_uri(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def render(config, cells: list[dict], scores: pd.DataFrame, samples, edits, figures: dict[str, Path]) -> str:
    """The page. `figures`: figure's name -> SVG file; `samples`: benchmark -> shard."""
    spec = TablesSpec.model_validate(config.tables)
    bars, found = bars_in(cells), write.index(cells)
    tables = [table_view(name, table, found, bars, spec) for name, table in spec.tables.items()]
    plots = [table_view(name, table, found, bars, spec) for name, table in spec.figures.items()]
    for plot, name in zip(plots, spec.figures):
        plot.plot = plot_uri(figures[name]) if name in figures else ""
    benchmark = summary.benchmark_of(scores)
    held = validity.table(scores, read_samples(samples), spec, config.resamples, config.seed)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html.j2").render(
        judge=config.judge,
        validity=validity.shown(held),
        validity_plot=plot_uri(figures["figure_validity"]) if "figure_validity" in figures else "",
        config=config,
        tables=tables,
        plots=plots,
        summary=summary.lines(scores, spec, benchmark) if benchmark else [],
        summary_benchmark=BENCHMARKS.get(benchmark, benchmark),
        galleries=galleries(config, spec, samples, edits, marks_of(scores)),
        thresholds=[(name, bars.get(name), threshold) for name, threshold in spec.thresholds.items()],
        counts=cell_counts(cells),
        bold=write.BOLD,
    )


def cell_counts(cells: list[dict]) -> dict[str, int]:
    """How many cells are reproduced, and how many only reported."""
    measured = sum(cell["kind"] != "reported" for cell in cells)
    best = sum(json.loads(cell["query"])["best"] for cell in cells)
    return {"measured": measured, "reported": len(cells) - measured, "best": best}


def read_scores(paths: list[Path]) -> pd.DataFrame:
    return shards.frame(paths, SCORE)
