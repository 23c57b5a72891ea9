"""One self-contained HTML page: every table, the plots and the pictures. All text from data is escaped by jinja2."""

import base64
import hashlib
import json
from pathlib import Path

import jinja2
import pandas as pd
from markupsafe import Markup

from madi import provenance, shards
from madi.records import EDIT, SCORE, cell_id
from madi.tables import grids, summary, validity, write
from madi.tables.board import Board
from madi.tables.page import cells as cells_
from madi.tables.page import gallery, more
from madi.tables.page.views import plot_uri, table_view
from madi.tables.sources import bars_in, prints_of, read_samples
from madi.tables.spec import TablesSpec
from madi.tables.words import BENCHMARKS

LIMIT_MB = 25
HERE = Path(__file__).parent


def render(
    config, cells: list[dict], scores: pd.DataFrame, samples, edits, figures: dict[str, Path], files=more.NOTHING
) -> str:
    """The page. `figures`: figure's name -> SVG file; `samples`: benchmark -> shard; `files`: of its other parts."""
    spec = TablesSpec.model_validate(config.tables)
    bars, found = bars_in(cells), write.index(cells)
    tables = [table_view(name, table, found, bars, spec) for name, table in spec.tables.items()]
    plots = [table_view(name, table, found, bars, spec) for name, table in spec.figures.items()]
    for plot, name in zip(plots, spec.figures):
        plot.plot = plot_uri(figures[name]) if name in figures else ""
    benchmark = summary.benchmark_of(scores)
    known = read_samples(samples)
    board = Board(scores, known)
    cards = gallery.cards(config, spec, samples, edits, gallery.edit_scores(board))
    prints = prints_of(scores, shards.frame(edits, EDIT, ["edit_id", "image_sha"]))
    old = more.stale(cells, files.lineage, prints)
    wrong, holds = more.audit(config.reported)
    script = "".join((HERE / f"{name}.js").read_text(encoding="utf-8") for name in ("report", "gallery", "dialogs"))
    return template().render(
        judge=config.judge,
        validity=validity.shown(validity.table(scores, known, spec, config.resamples, config.seed)),
        validity_plot=plot_uri(figures["figure_validity"]) if "figure_validity" in figures else "",
        config=config,
        tables=tables,
        plots=plots,
        summary=summary.lines(scores, spec, benchmark) if benchmark else [],
        summary_benchmark=BENCHMARKS.get(benchmark, benchmark),
        cards=cards,
        choices=choices(cards),
        whys=gallery.WHYS,
        score_names=dict(gallery.SCORES.values()),
        stale={cells_.key_of(cell) for cell in cells if cell_id(cell) in old},
        drawn=more.pictures(files.figures, spec),
        training_plot=plot_uri(figures["figure_training"]) if "figure_training" in figures else "",
        findings=wrong,
        holding=holds,
        questions=more.questions(files.questions, samples.get("emu_edit")),
        plans=more.plans(files.plans, files.train),
        made=more.made(config, samples, files.timings),
        versions=provenance.versions(),
        hardware=provenance.hardware(),
        code=provenance.code_sha()[:16],
        main=spec.systems[gallery.MAIN].title if gallery.MAIN in spec.systems else "",
        most_apart=grids.MOST_APART,
        behind=cells_.as_json(cells_.behind(cells, board, cards, config.name, spec)),
        thresholds=[(name, bars.get(name), threshold) for name, threshold in spec.thresholds.items()],
        counts=cell_counts(cells),
        bold=write.BOLD,
        script=Markup(script),  # ours, no text from data in it
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def template() -> jinja2.Template:
    """The page's template; `opens` and `key_of` say which cells open, and under which name."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(opens=cells_.opens, key_of=cells_.key_of)
    return environment.get_template("report.html.j2")


def choices(cards: list[gallery.Card]) -> dict[str, dict]:
    """What the gallery can be narrowed to: only what some card has, in the order of the cards."""
    kinds: dict[str, dict[str, set[str]]] = {"task": {}, "level": {}, "tag": {}}  # kind -> which -> its benchmarks
    for card in cards:
        for kind, which in card.kinds:
            kinds[kind].setdefault(which, set()).add(card.benchmark)
    made = [system for card in cards for system in card.systems]
    return {
        "benchmarks": {card.benchmark: card.title for card in cards},
        "kinds": {
            kind: {k: " ".join(sorted(found[k])) for k in sorted(found)} for kind, found in kinds.items() if found
        },
        "systems": {system.name: system.title for system in made},
        "pauses": dict.fromkeys(sorted({shown.pause for system in made for shown in system.shown})),
        "whys": {why: text for why, text in gallery.WHYS.items() if any(why in card.whys for card in cards)},
    }


def cell_counts(cells: list[dict]) -> dict[str, int]:
    """How many cells are reproduced, and how many only reported."""
    measured = sum(cell["kind"] != "reported" for cell in cells)
    best = sum(json.loads(cell["query"])["best"] for cell in cells)
    return {"measured": measured, "reported": len(cells) - measured, "best": best}


def read_scores(paths: list[Path]) -> pd.DataFrame:
    return shards.frame(paths, SCORE)
