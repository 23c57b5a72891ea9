"""`madi data ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Prepare samples and their latents.")


@app.command()
def prepare(
    config: Path = typer.Option(..., help="Slice of this set (JSON)."),
    out: Path = typer.Option(..., help="Samples (Parquet)."),
    against: list[str] = typer.Option([], help="NAME=samples.parquet of a benchmark whose pictures may not be here."),
    report: Path | None = typer.Option(None, help="What was left out, and why (JSON)."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Read one set, check it, drop duplicates and leaks, write its samples."""
    from madi.config import DataSlice, read
    from madi.data.prepare import run
    from madi.options import named_files
    from madi.progress import log_to

    with log_to(log):
        run(read(config, DataSlice), out, named_files(against, "--against"), report)


@app.command()
def fetch(
    repo: str = typer.Option(..., help="OWNER/NAME on the hub."),
    folder: Path = typer.Option(..., help="Where the files go; what is there is not fetched again."),
    manifest: Path = typer.Option(..., help="What came, with hashes (JSON)."),
    revision: str = typer.Option("main", help="Branch, tag or commit; a commit never changes."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Fetch weights from a model hub: safetensors and their configs, nothing that is unpickled."""
    from madi.data.fetch import run
    from madi.progress import log_to

    with log_to(log):
        run(repo, revision, folder, manifest)


@app.command()
def latents(
    config: Path = typer.Option(..., help="Slice of this set's latents (JSON)."),
    samples: Path = typer.Option(..., help="Samples (Parquet)."),
    base: Path = typer.Option(..., help="Folder of the base editor, whose VAE encodes."),
    index: Path = typer.Option(..., help="Which tensor is which image (Parquet)."),
    out: Path = typer.Option(..., help="The tensors (safetensors)."),
    part: int = typer.Option(0, min=0, help="Which shard, from 0."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Encode every source and target of one shard once, for all trainings."""
    from madi.config import LatentSlice, read
    from madi.data.latents import run
    from madi.progress import log_to

    with log_to(log):
        run(read(config, LatentSlice), samples, base, part, index, out)


@app.command()
def check(
    config: Path = typer.Option(..., help="Slice of this set's latents (JSON)."),
    samples: Path = typer.Option(..., help="Samples (Parquet)."),
    part: list[Path] = typer.Option(..., help="Index of each shard, its tensors beside it."),
    index: Path = typer.Option(..., help="The joined index (Parquet)."),
    report: Path = typer.Option(..., help="How many shards, pictures, tensors and bytes (JSON)."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Check every latent (count, shape, finite, checksum) before any training, and join the shards' indices."""
    from madi.config import LatentSlice, read
    from madi.data.check import run
    from madi.progress import log_to

    with log_to(log):
        run(read(config, LatentSlice), samples, part, index, report)
