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
    samples: Path = typer.Option(..., help="Training samples (samples.json)."),
    latents: Path = typer.Option(..., help="Latent index (Parquet), its shards where it says."),
    out: Path = typer.Option(..., help="Manifest of the weights (JSON); they go to the folder `weights` beside it."),
    state: Path = typer.Option(..., help="Folder where interrupted trainings wait."),
    table: Path = typer.Option(..., help="Loss of every step (CSV)."),
    plans: Path | None = typer.Option(None, help="Plans (Parquet), for an expressive run."),
    validation: Path | None = typer.Option(None, help="Samples to validate on (samples.json), for a run that does."),
    track: Path = typer.Option(Path("runs"), help="Folder of the tracker's files."),
    budget_minutes: float | None = typer.Option(
        None, min=0, help="Stop by then with the state kept (exit code 75); 0: after one step."
    ),
    log: Path | None = typer.Option(None, "--log", "--log-to", help="File that progress is also written to."),
) -> None:
    """Train one run, or go on from where an interrupted one stopped.

    Several processes: `torchrun --nproc-per-node=N -m madi train run ...`, or `accelerate launch`; there say --log-to,
    since torchrun has options of its own that begin with --log.
    """
    from madi.config import RunSlice, read
    from madi.progress import log_to

    with log_to(log):
        job = read(config, RunSlice)
        from madi.train.run import Files, run

        run(job, Files(samples, latents, out, table, state, track, plans, validation), budget_minutes)


@app.command()
def figure(
    config: Path = typer.Option(..., help="Slice of a run that masks (JSON)."),
    samples: Path = typer.Option(..., help="Training samples (samples.json)."),
    out: Path = typer.Option(..., help="The picture (PNG)."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Draw what MAgD does to a training target: Figure 1 from the code that trains."""
    from madi.config import RunSlice, read
    from madi.progress import log_to
    from madi.train.figure import write

    with log_to(log):
        write(read(config, RunSlice), samples, out)
