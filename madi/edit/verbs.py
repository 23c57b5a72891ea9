"""`madi edit ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Edit benchmark samples.")


@app.callback()
def edit() -> None:
    """Edit benchmark samples."""


@app.command()
def shard(
    config: Path = typer.Option(..., help="Slice of this job (JSON)."),
    benchmark: list[str] = typer.Option(..., help="NAME=samples.json, once a benchmark."),
    out: Path = typer.Option(..., help="Edits, one PNG and its key a row (Parquet)."),
    contact: Path = typer.Option(..., help="Sheet to look at (JPEG)."),
    weights: list[str] = typer.Option([], help="RUN=weights.json, once a run."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Make the edits of one job; go on from where an interrupted run of it stopped."""
    from madi.config import EditSlice, read
    from madi.edit.shard import run
    from madi.options import named_files
    from madi.progress import log_to

    with log_to(log):
        job = read(config, EditSlice)
        run(job, named_files(benchmark, "--benchmark"), named_files(weights, "--weights"), out, contact)
