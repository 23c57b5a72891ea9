"""`madi score ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Score edits.")

QUESTIONS = typer.Option([], help="NAME=questions.parquet, once a benchmark that has them.")


@app.callback()
def score() -> None:
    """Score edits."""


@app.command()
def shard(
    config: Path = typer.Option(..., help="Slice of this job (JSON)."),
    edits: Path = typer.Option(..., help="Edits of this job (Parquet)."),
    benchmark: list[str] = typer.Option(..., help="NAME=samples.json, once a benchmark."),
    answers: Path = typer.Option(..., help="The judge's answers about them (Parquet)."),
    out: Path = typer.Option(..., help="Scores, one number a row (Parquet)."),
    questions: list[str] = QUESTIONS,
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Score the edits of one job against their sources, targets, captions and truth."""
    from madi.config import ScoreSlice, read
    from madi.options import named_files
    from madi.progress import log_to
    from madi.score.shard import run

    with log_to(log):
        job = read(config, ScoreSlice)
        run(job, edits, named_files(benchmark, "--benchmark"), named_files(questions, "--questions"), answers, out)


@app.command()
def judge(
    config: Path = typer.Option(..., help="Slice of this job's judge (JSON)."),
    edits: Path = typer.Option(..., help="Edits of this job (Parquet)."),
    benchmark: list[str] = typer.Option(..., help="NAME=samples.json, once a benchmark."),
    out: Path = typer.Option(..., help="The judge's answers (Parquet)."),
    questions: list[str] = QUESTIONS,
    cache: Path | None = typer.Option(None, help="Where a model's answers are kept (JSON lines)."),
    mllms: Path | None = typer.Option(None, help="How models are reached (JSON), where one is asked."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Ask a judge about the edits of one job: the paper's five questions, and the benchmarks' own protocols."""
    from madi.config import JudgeSlice, reached, read
    from madi.options import named_files
    from madi.progress import log_to
    from madi.score.judge import run

    with log_to(log):
        job = read(config, JudgeSlice)
        files, bank = named_files(benchmark, "--benchmark"), named_files(questions, "--questions")
        run(job, edits, files, bank, out, cache, reached(mllms, job.judge, job.mllm))


@app.command()
def agree(
    one: Path = typer.Argument(..., help="Answers of a judge: a shard (Parquet), or a job's folder of them."),
    other: Path = typer.Argument(..., help="Answers of another judge, or of another pass, about the same edits."),
    resamples: int = typer.Option(2000, min=100, help="Of the interval's bootstrap, over samples."),
    seed: int = typer.Option(0, min=0, help="Its seed."),
    benchmark: list[str] = typer.Option([], help="NAME=samples.json: edits of one source are then drawn together."),
    questions: list[str] = QUESTIONS,
) -> None:
    """How far two judges, or two passes of one, agree: a line a protocol and question (of five_questions: a tag, where
    --questions are given), with 95 % intervals; `-` where the values do not vary."""
    from madi.options import named_files
    from madi.score.agree import run

    print(
        run(one, other, named_files(benchmark, "--benchmark"), named_files(questions, "--questions"), resamples, seed)
    )
