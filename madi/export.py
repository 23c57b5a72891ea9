"""`madi export`: weights as the folder that stock `OmniGenPipeline.from_pretrained` loads."""

from pathlib import Path

import typer

app = typer.Typer(help="Write weights as a folder that stock diffusers loads.", invoke_without_command=True)


@app.callback()
def export(
    out: Path = typer.Option(..., help="Folder to write; an older one there is replaced as a whole."),
    weights: Path = typer.Option(..., help="A stock OmniGenPipeline folder, a run's, or the official OmniGen one."),
    lora: Path | None = typer.Option(None, help="peft adapter folder to add to the weights; needs --merge."),
    vae: Path | None = typer.Option(None, help="Folder with the VAE, for fine-tunes that were saved without one."),
    merge: bool = typer.Option(False, "--merge", help="Add the adapter to the weights for good."),
) -> None:
    """Write weights as a folder that stock diffusers loads, an adapter merged into them, official names renamed."""
    from madi.errors import MadiError
    from madi.options import folder_for
    from madi.progress import alive

    if (lora is None) == merge:
        raise MadiError("one of --lora and --merge alone", "command line", "both, or neither", "add the other")
    if out.exists() and (not out.is_dir() or any(out.iterdir()) and not (out / "model_index.json").exists()):
        raise MadiError("not a weights folder, so it is not replaced", out, "a new folder", "another --out")
    for read in (weights, lora, vae):
        if read is not None and read.resolve().is_relative_to(out.resolve()):  # it would be replaced with all in it
            raise MadiError(f"holds the folder that is read, {read}", out, "another folder", "another --out")
    folder_for(out.parent, "--out")
    with alive("export"):  # from before torch is imported, which alone may take a while
        write(out, weights, lora, vae)
    print(f"written: {out}")


def write(out: Path, weights: Path, lora: Path | None, vae: Path | None) -> None:
    """Writes the weights in folder `weights`, with an adapter merged in if one is given, and where they are from."""
    from madi import provenance
    from madi.model import checkpoint
    from madi.model import lora as adapters
    from madi.progress import say

    found = checkpoint.load(weights, vae=vae)
    if lora is not None:
        adapters.merge(adapters.load(lora, found.packed.stock))
    say(f"writing {out}")
    checkpoint.save(out, found, checkpoint.mask_tokens(weights))
    made_of = {}
    for name, folder in (("weights", weights), ("lora", lora), ("vae", vae)):
        made_of |= {name: str(folder), f"{name}_sha": provenance.folder_sha(folder)} if folder else {}
    provenance.write_provenance(out / provenance.PROVENANCE, **made_of)
