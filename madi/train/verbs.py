"""`madi train ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Fine-tune the editor.")


@app.callback()
def train() -> None:
    """Fine-tune the editor."""


@app.command("run")
def run_(
    config: Path = typer.Option(..., help="Slice of this run (JSON)."),
    samples: Path = typer.Option(..., help="Training samples (Parquet)."),
    latents: Path = typer.Option(..., help="Latent index (Parquet), its tensors beside it."),
    out: Path = typer.Option(..., help="Manifest of the weights (JSON); they go to the folder `weights` beside it."),
    state: Path = typer.Option(..., help="Folder where interrupted trainings wait."),
    table: Path = typer.Option(..., help="Loss of every step (CSV)."),
    plans: Path | None = typer.Option(None, help="Plans (Parquet), for an expressive run."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Train one run; go on from where an interrupted run of it stopped."""
    from madi.config import RunSlice, read
    from madi.progress import log_to

    with log_to(log):
        job = read(config, RunSlice)
        from madi.train.run import run

        run(job, samples, plans, latents, out, state, table)
