"""`madi score ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Score edits.")


@app.callback()
def score() -> None:
    """Score edits."""


@app.command()
def shard(
    config: Path = typer.Option(..., help="Slice of this job (JSON)."),
    edits: Path = typer.Option(..., help="Edits of this job (Parquet)."),
    benchmark: list[str] = typer.Option(..., help="NAME=samples.json, once a benchmark."),
    out: Path = typer.Option(..., help="Scores, one number a row (Parquet)."),
    answers: Path = typer.Option(..., help="The judge's answers (Parquet)."),
    questions: list[str] = typer.Option([], help="NAME=questions.parquet, once a benchmark that has them."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Score the edits of one job against their sources, targets, captions and truth."""
    from madi.config import ScoreSlice, read
    from madi.options import named_files
    from madi.progress import log_to
    from madi.score.shard import run

    with log_to(log):
        job = read(config, ScoreSlice)
        run(job, edits, named_files(benchmark, "--benchmark"), named_files(questions, "--questions"), out, answers)
