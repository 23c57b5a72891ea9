"""`madi edit ...`"""

from enum import StrEnum
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
    mllms: Path | None = typer.Option(None, help="Slice of what edits by endpoints may cost (JSON)."),
    shard: str = typer.Option("0/1", help="Which shard of how many, counted from 0: 3/16 is the fourth of 16."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Make one shard of the edits of a job; go on from where an interrupted run of it stopped."""
    from madi.config import EditSlice, MllmsSlice, read
    from madi.edit.shard import run
    from madi.options import named_files, shard_from
    from madi.progress import log_to

    with log_to(log):
        job = read(config, EditSlice)
        files, trained = named_files(benchmark, "--benchmark"), named_files(weights, "--weights")
        spending = read(mllms, MllmsSlice).editors if mllms else {}
        run(job, files, trained, out, contact, shard_from(shard, "--shard"), spending)


class LayoutName(StrEnum):
    """plain: under the sample's name; the others: as the benchmark's official scripts expect."""

    plain = "plain"
    geneval = "geneval"
    magicbrush = "magicbrush"
    complex_edit = "complex-edit"
    idea_bench = "idea-bench"


class TurnsName(StrEnum):
    """given: the source it was given; own: its own edit of the turn before."""

    given = "given"
    own = "own"


@app.command()
def export(
    edits: list[Path] = typer.Argument(..., help="Edits of a job (Parquet), all its shards."),
    samples: Path = typer.Option(..., help="The benchmark's samples.json."),
    benchmark: str = typer.Option(..., help="Its name."),
    editor: str = typer.Option(..., help="Whose edits."),
    out: Path = typer.Option(..., help="A folder, new or not."),
    layout: LayoutName = typer.Option(LayoutName.plain, help="Where an edit's file lies and what it is called."),
    pause: int = typer.Option(0, min=0, help="At which pause count."),
    seed: int | None = typer.Option(None, min=0, help="At which seed; else at all, where a layout has room for them."),
    turns: TurnsName = typer.Option(TurnsName.given, help="What the editor's later turns edited (MagicBrush's names)."),
    data: Path | None = typer.Option(
        None,
        help="Folder for what the official script reads beside the images, of these samples alone: sources and "
        "instructions (complex-edit), true images and captions (magicbrush).",
    ),
) -> None:
    """Write edits as image files, in a benchmark's official layout. A refused export writes nothing."""
    from madi.edit.export import run

    count = run(edits, samples, benchmark, editor, pause, layout.value, out, turns.value, seed, data)
    print(f"written: {count} images to {out}" + (f", and their data to {data}" if data else ""))
