"""`madi prompts ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Write plans to train with, and the judges' questions.")

MLLMS = typer.Option(None, help="How models are reached (JSON), where one is asked.")
CACHE = typer.Option(None, help="Where a model's answers are kept, so that nothing is paid twice (JSON lines).")


@app.command()
def plan(
    config: Path = typer.Option(..., help="Slice of the plans (JSON)."),
    samples: Path = typer.Option(..., help="Samples to learn from (samples.json)."),
    out: Path = typer.Option(..., help="Plans (Parquet)."),
    part: int = typer.Option(0, min=0, help="Which shard, from 0."),
    cache: Path | None = CACHE,
    mllms: Path | None = MLLMS,
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Spell out a share of the edits in sub-prompts."""
    from madi.config import PlanSlice, reached, read
    from madi.progress import log_to
    from madi.prompts.plan import run

    with log_to(log):
        job = read(config, PlanSlice)
        run(job, samples, out, part, cache, reached(mllms, job.provider, job.mllm))


@app.command()
def join(
    parts: list[Path] = typer.Argument(..., help="Plans of all shards, in order."),
    out: Path = typer.Option(..., help="All plans (Parquet)."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Join the shards of the plans."""
    from madi.progress import log_to
    from madi.prompts.plan import join

    with log_to(log):
        join(parts, out)


@app.command()
def questions(
    config: Path = typer.Option(..., help="Slice of this benchmark's questions (JSON)."),
    samples: Path = typer.Option(..., help="The benchmark's samples.json."),
    out: Path = typer.Option(..., help="Questions (Parquet)."),
    cache: Path | None = CACHE,
    mllms: Path | None = MLLMS,
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Write five questions a benchmark edit, once, for all editors."""
    from madi.config import QuestionSlice, reached, read
    from madi.progress import log_to
    from madi.prompts.questions import run

    with log_to(log):
        job = read(config, QuestionSlice)
        run(job, samples, out, cache, reached(mllms, job.provider, job.mllm))
