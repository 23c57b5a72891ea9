"""`madi tables ...`"""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from madi.config import TablesSlice

app = typer.Typer(no_args_is_help=True, help="Scores to tables, figures and the report.")

SLICE = typer.Option(..., help="Slice of the tables (JSON).")
SAMPLES = typer.Option(..., help="NAME=samples.json, once a benchmark.")
SCORES = typer.Option(..., help="Scores: a shard (Parquet), or the folder of all jobs' shards; several times.")
EDITS = typer.Option(..., help="Edits, as --scores.")
LOG = typer.Option(None, help="File that progress is also written to.")


def shards_of(slice_: "TablesSlice", paths: list[Path]) -> list[Path]:
    """The shards that `--scores` or `--edits` mean."""
    from madi import jobs

    return jobs.named(paths, slice_.editors, slice_.shards)


def trainings(slice_: "TablesSlice", folder: Path | None) -> dict[str, Path]:
    """What each training logged, by run."""
    return {name: folder / name / "train.csv" for name in slice_.runs} if folder else {}


@app.command()
def build(
    config: Path = SLICE,
    samples: list[str] = SAMPLES,
    scores: list[Path] = SCORES,
    out_folder: Path = typer.Option(..., help="Folder of table_<name>.{csv,md,tex}."),
    figures_folder: Path = typer.Option(..., help="Folder of the figures."),
    cells: Path = typer.Option(..., help="Every cell, with interval and origin (Parquet)."),
    lineage: Path = typer.Option(..., help="Which scores and edits each cell is made of (Parquet)."),
    runs: Path | None = typer.Option(None, help="Folder of the trainings, whose curves are drawn."),
    edits: list[Path] = typer.Option([], help="Edits, as --scores: their image hashes then enter the cells' digests."),
    reported: Path | None = typer.Option(None, help="The paper's values; default: the slice's."),
    log: Path | None = LOG,
) -> None:
    """Scores to cells, tables and figures."""
    from madi import shards
    from madi.config import TablesSlice, read
    from madi.options import named_files
    from madi.progress import log_to, say
    from madi.records import CELL, LINEAGE, SCORE
    from madi.tables import sources, validity, write
    from madi.tables.build import build as build_cells
    from madi.tables.figures import curves, declared

    with log_to(log):
        slice_ = read(config, TablesSlice)
        files = named_files(samples, "--samples")
        scores, edits = shards_of(slice_, scores), shards_of(slice_, edits)
        source = sources.read_source(slice_, files, scores, edits, reported or slice_.reported)
        found, origins = build_cells(source)
        write.write_tables(out_folder, found, source.bars, source.spec)
        declared.write_figures(figures_folder, found, source.bars, source.spec)
        curves.write(figures_folder, trainings(slice_, runs), source.spec)
        held = shards.frame(scores, SCORE), source.samples, source.spec, source.resamples, source.seed
        validity.write(out_folder, figures_folder, validity.table(*held))
        shards.write(lineage, origins, LINEAGE)
        shards.write(cells, found, CELL)
        say(f"{len(found)} cells from {len(origins)} uses of scores")


@app.command()
def pictures(
    config: Path = SLICE,
    samples: list[str] = SAMPLES,
    scores: list[Path] = SCORES,
    edits: list[Path] = EDITS,
    figures_folder: Path = typer.Option(..., help="Folder of the figures."),
    log: Path | None = LOG,
) -> None:
    """Grids of pictures, their samples chosen by the rules of tables.yaml."""
    from madi.config import TablesSlice, read
    from madi.options import named_files
    from madi.progress import log_to, say
    from madi.tables import sources
    from madi.tables.figures import pictures as grids

    with log_to(log):
        slice_ = read(config, TablesSlice)
        files = named_files(samples, "--samples")
        source = sources.read_source(slice_, files, shards_of(slice_, scores), [], slice_.reported)
        say(f"{len(grids.write(figures_folder, source, files, shards_of(slice_, edits)))} grids of pictures")


@app.command()
def page(
    config: Path = SLICE,
    cells: Path = typer.Option(..., help="Every cell (Parquet)."),
    samples: list[str] = SAMPLES,
    scores: list[Path] = SCORES,
    edits: list[Path] = EDITS,
    figures_folder: Path = typer.Option(..., help="Folder of the figures."),
    out: Path = typer.Option(..., help="The report (HTML), complete in itself."),
    lineage: Path | None = typer.Option(None, help="The cells' lineage (Parquet), to mark those that are stale."),
    questions: Path | None = typer.Option(None, help="Questions to show (Parquet)."),
    plans: Path | None = typer.Option(None, help="Plans to show (Parquet)."),
    train: Path | None = typer.Option(None, help="The training samples that are planned (samples.json)."),
    timings: Path | None = typer.Option(None, help="Folder of what the jobs took."),
    made: Path | None = typer.Option(None, help="File for how the results were made (JSON)."),
    log: Path | None = LOG,
) -> None:
    """The report: one page that opens from disk."""
    from madi import provenance, shards
    from madi.config import TablesSlice, read
    from madi.options import named_files
    from madi.progress import log_to, say
    from madi.records import CELL
    from madi.tables import page as pages
    from madi.tables.page.more import Files
    from madi.tables.page.more import made as how
    from madi.tables.workflow import kept

    with log_to(log):
        slice_ = read(config, TablesSlice)
        plots = {path.stem: path for path in sorted(figures_folder.glob("figure_*.svg"))}
        files = named_files(samples, "--samples")
        parts = Files(lineage, figures_folder, questions, plans, train, timings)
        frame = pages.read_scores(shards_of(slice_, scores))
        html = pages.render(slice_, shards.read(cells, CELL), frame, files, shards_of(slice_, edits), plots, parts)
        with shards.atomic(out) as partial:
            partial.write_text(html, encoding="utf-8", newline="\n")
        if made is not None:
            provenance.write_provenance(made, **vars(how(slice_, files, timings)), files=kept(made.parent))
        size_mb = out.stat().st_size / 1e6
        large = f", more than {pages.LIMIT_MB} MB: a smaller `tables.gallery` opens faster"
        say(f"{out}: {size_mb:.1f} MB" + (large if size_mb > pages.LIMIT_MB else ""))


@app.command()
def summary(
    config: Path = SLICE,
    scores_folder: Path = typer.Option(..., help="Folder of the jobs' scores, <job>/<shard>.parquet."),
    log: Path | None = LOG,
) -> None:
    """Print instruction following, identity preservation and perceptual quality of each system."""
    from rich.console import Console
    from rich.table import Table

    from madi import shards
    from madi.config import TablesSlice, read
    from madi.errors import MadiError
    from madi.progress import log_to
    from madi.records import SCORE
    from madi.tables import summary as short
    from madi.tables.spec import TablesSpec

    with log_to(log):
        slice_ = read(config, TablesSlice)
        spec = TablesSpec.model_validate(slice_.tables)
        frame = shards.frame(shards_of(slice_, [scores_folder]), SCORE)
        if (benchmark := short.benchmark_of(frame)) is None:
            raise MadiError("no oracle scores", scores_folder, " and ".join(short.THREE))
        table = Table(title=f"Scene oracle on {benchmark}, means from 0 to 10")
        table.add_column("system")
        for name in ("pauses", "IF", "IDP", "PQ", "n"):
            table.add_column(name, justify="right")
        for line in short.lines(frame, spec, benchmark):
            style = "dim" if line.reference else None
            table.add_row(line.title, str(line.pause), *(f"{m:.2f}" for m in line.means), str(line.n), style=style)
        Console().print(table)
