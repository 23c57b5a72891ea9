"""`madi data ...`"""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Prepare samples and their latents.")


@app.command()
def fetch(
    manifest: Path = typer.Option(..., help="What came (JSON)."),
    repo: str | None = typer.Option(None, help="OWNER/NAME on the hub."),
    revision: str = typer.Option("main", help="Branch, tag or commit; a commit never changes."),
    folder: Path | None = typer.Option(None, help="Where weights go; without it, a data set to the hub's cache."),
    files: list[str] = typer.Option([], help="Of a data set: patterns of the files that are wanted."),
    url: str | None = typer.Option(None, help="Instead of a repository: the address of one file."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Fetch weights (safetensors and configs, nothing that is unpickled) or published data from a hub or an address."""
    from madi.data import fetch
    from madi.errors import MadiError
    from madi.progress import log_to

    if (repo is None) == (url is None):
        raise MadiError("neither --repo nor --url, or both", "command line", "one of them")
    with log_to(log):
        if url is not None:
            fetch.file(url, manifest)
        elif folder is None:
            fetch.data(repo, revision, files, manifest)
        else:
            fetch.weights(repo, revision, folder, manifest)


@app.command()
def prepare(
    config: Path = typer.Option(..., help="Slice of this set (JSON)."),
    out: Path = typer.Option(
        ..., help="Which shards hold the samples (JSON); the shards go to the folder of its name."
    ),
    against: list[str] = typer.Option([], help="NAME=samples.json of a benchmark whose pictures may not be here."),
    files: list[str] = typer.Option([], help="NAME=PATH of a published source, or of its fetch's manifest."),
    report: Path | None = typer.Option(None, help="What was left out, and why (JSON)."),
    log: Path | None = typer.Option(None, help="File that progress is also written to."),
) -> None:
    """Read one set, check it, drop duplicates and leaks, write its samples."""
    from madi.config import DataSlice, read
    from madi.data.prepare import run
    from madi.data.stream import folder_of
    from madi.options import named_files
    from madi.progress import log_to

    with log_to(log):
        folders = {name: folder_of(path) for name, path in named_files(files, "--files").items()}
        run(read(config, DataSlice), out, named_files(against, "--against"), report, folders)


@app.command()
def latents(
    config: Path = typer.Option(..., help="Slice of this set's latents (JSON)."),
    samples: Path = typer.Option(..., help="The set's samples.json."),
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
    samples: Path = typer.Option(..., help="The set's samples.json."),
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


@app.command()
def show(
    samples: Path = typer.Argument(..., help="A prepared set: results/<name>/data/<set>, or its samples.json."),
    out: Path = typer.Option(Path("show.html"), help="The page."),
    rows: int = typer.Option(40, min=1, max=500, help="How many samples are shown."),
    seed: int = typer.Option(0, min=0, help="Which ones."),
    plans: Path | None = typer.Option(None, help="Plans (Parquet); default: those of the same scale."),
) -> None:
    """Write a page to look at a set before training: pictures, plans, statistics, and what was left out and why."""
    from madi.data.show import run

    run(samples, out, rows, seed, plans)
    print(f"written: {out}")
