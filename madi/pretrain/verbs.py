"""`madi pretrain ...`: each verb trains one of the shipped parts and writes its folder, provenance and a manifest."""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Train the small weights shipped in assets/tiny.")

CONFIG = typer.Option(..., help="config/pretrain.yaml.")
FOLDER = typer.Option(..., help="Folder the part is written to.")
STATE = typer.Option(..., help="Folder where interrupted trainings wait.")
MANIFEST = typer.Option(..., help="Manifest (JSON): every file's hash, and held-out quality.")
LOG = typer.Option(None, help="File that progress is also written to.")


@app.callback()
def pretrain() -> None:
    """Train the small weights shipped in assets/tiny."""


def _train(what: str, config: Path, folder: Path, state: Path, manifest: Path, log: Path | None) -> None:
    from madi.pretrain.settings import read
    from madi.progress import log_to

    with log_to(log):
        settings = read(config)
        from madi.pretrain.ship import make

        make(what, settings, config, folder, state, manifest)


@app.command()
def tokenizer(config: Path = CONFIG, folder: Path = FOLDER, state: Path = STATE, out: Path = MANIFEST, log: Path = LOG):
    """Train the tokenizer."""
    _train("tokenizer", config, folder, state, out, log)


@app.command()
def vae(config: Path = CONFIG, folder: Path = FOLDER, state: Path = STATE, out: Path = MANIFEST, log: Path = LOG):
    """Train the autoencoder, then its decoder further."""
    _train("vae", config, folder, state, out, log)


@app.command()
def base(config: Path = CONFIG, folder: Path = FOLDER, state: Path = STATE, out: Path = MANIFEST, log: Path = LOG):
    """Train the transformer with the tokenizer and autoencoder waiting in the state folder."""
    _train("base", config, folder, state, out, log)


@app.command()
def clip(config: Path = CONFIG, folder: Path = FOLDER, state: Path = STATE, out: Path = MANIFEST, log: Path = LOG):
    """Train the CLIP."""
    _train("clip", config, folder, state, out, log)


@app.command()
def vit(config: Path = CONFIG, folder: Path = FOLDER, state: Path = STATE, out: Path = MANIFEST, log: Path = LOG):
    """Train the ViT that stands in for DINO."""
    _train("vit", config, folder, state, out, log)
