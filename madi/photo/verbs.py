"""`madi edit photo`: a service's verb among the edit stage's, since to a person it is an edit."""

from enum import StrEnum
from pathlib import Path

import typer


class Device(StrEnum):
    cpu = "cpu"
    cuda = "cuda"


class Dtype(StrEnum):
    float32 = "float32"
    bfloat16 = "bfloat16"


def photo(
    picture: Path = typer.Argument(..., help="Your picture: PNG, JPEG or WebP, of any size and mode."),
    instruction: str = typer.Argument(..., help="What to change, in words."),
    weights: Path | None = typer.Option(
        None, help="Folder of a stock OmniGenPipeline, or a run's (default: the small one that ships)."
    ),
    vae: Path | None = typer.Option(None, help="Folder with the VAE, for fine-tunes that were saved without one."),
    pause: str = typer.Option("0,8,16,32", help="Pause counts, one edit each."),
    out: Path = typer.Option(Path("edits"), help="Folder for the edits and contact.jpg."),
    choose: str | None = typer.Option(
        None, help="Pick one: clip_dir, dino, 'clip_dir@dino>=0.91', 'dino@clip_dir>=0.1' or pause=8."
    ),
    captions: tuple[str, str] | None = typer.Option(None, help="What the picture shows, and what it is to show."),
    clip: Path | None = typer.Option(
        None, help="open_clip folder for clip_dir. Default: the small one, for the small world only."
    ),
    dino: Path | None = typer.Option(
        None, help="timm folder for dino. Default: the small one, for the small world only."
    ),
    steps: int = typer.Option(50, min=1, help="Euler steps."),
    guidance: float = typer.Option(2.5, help="How strongly the words count."),
    image_guidance: float = typer.Option(1.5, help="How strongly the source counts."),
    seed: int = typer.Option(0, min=0, help="Of the noise, which all pause counts share."),
    side: int | None = typer.Option(
        None, help="Longest side of the edit in px (default: the model's most, 1024 at most)."
    ),
    device: Device = typer.Option(Device.cpu, help="Where the model runs."),
    dtype: Dtype | None = typer.Option(None, help="Numbers of the model (default: as stored)."),
    threads: int = typer.Option(2, min=1, max=1024, help="CPU threads."),
) -> None:
    """Edit one picture of your own at several pause counts; pick one by the tables' rule and say why."""
    from madi.progress import alive

    with alive("edit photo"):  # from before torch is imported, which alone may take a while
        import torch

        from madi.options import counts, number, shipped
        from madi.photo import edit

        how = edit.Settings(
            counts(pause, "--pause"),
            steps,
            number(guidance, "--guidance", 100),
            number(image_guidance, "--image-guidance", 100),
            seed,
            side,
            device.value,
            dtype and dtype.value,
            vae,
        )
        torch.set_num_threads(threads)
        edit.run(picture, instruction, weights or shipped("omnigen"), out, how, choose, captions, clip, dino)
