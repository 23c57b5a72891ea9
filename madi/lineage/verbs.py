"""`madi trace` and `madi verify`: where a number comes from, and whether all is as recorded."""

from pathlib import Path

import typer

RESULTS = typer.Argument(..., help="Results of a workflow: results/<name>.")


def trace(
    results: Path = RESULTS,
    cell: str | None = typer.Argument(None, help="table/block/row/column, such as 1/emu_edit/magd_ep_scaled/DINO."),
    whole: bool = typer.Option(False, "--all", help="Every sample behind it, not the highest and lowest alone."),
    csv: Path | None = typer.Option(None, help="File for all rows (CSV)."),
    images: Path | None = typer.Option(None, help="Folder for their sources and edits (PNG)."),
    listed: bool = typer.Option(False, "--list", help="All cells, by name, with their values."),
) -> None:
    """Where a cell of a table comes from: its samples, edits, scores, weights and settings; and whether it is stale."""
    from madi import shards
    from madi.errors import MadiError
    from madi.lineage import shown, traced
    from madi.options import folder_for
    from madi.tables.workflow import Workflow

    workflow = Workflow.open(results)
    if listed:
        print(shown.listing(workflow.cells()))
        return
    if cell is None:
        raise MadiError("no cell is named", "command line", "table/block/row/column", "--list shows all")
    found = traced.gather(workflow, cell)
    print(shown.text(found, whole))
    if csv is not None:
        with shards.atomic(csv) as partial:
            found.rows.to_csv(partial, index=False, lineterminator="\n")
        print(f"\nwritten: {csv}, {len(found.rows)} rows")
    if images is not None:
        print(f"\nwritten: {shown.write_images(folder_for(images, '--images'), found, workflow)} images to {images}")


def verify(
    results: Path = RESULTS,
    whole: bool = typer.Option(False, "--all", help="Every difference, not the first of each kind alone."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Make every cell anew and hold all files against what was recorded of them. Exit code 1 if anything differs."""
    from madi.lineage.verify import run, text
    from madi.progress import log_to
    from madi.tables.workflow import Workflow

    with log_to(log):
        report = run(Workflow.open(results))
        print(text(report, whole))
    raise typer.Exit(1 if report.findings else 0)
