"""`madi bench ...`"""

from enum import StrEnum
from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Measure what is claimed, each claim against a named alternative.")


class Size(StrEnum):
    """tiny: tests. small: two CPU cores, minutes. full: OmniGen's 3.8 B parameters at 1024 px, on a GPU."""

    tiny = "tiny"
    small = "small"
    full = "full"


class Device(StrEnum):
    cpu = "cpu"
    cuda = "cuda"


@app.callback()
def bench() -> None:
    """Measure what is claimed, each claim against a named alternative."""


@app.command()
def model(
    size: Size = typer.Option(Size.small, help="tiny (seconds), small (a CPU, minutes) or full (3.8 B, on a GPU)."),
    steps: int | None = typer.Option(None, min=2, help="Euler steps run; the time told is always of 20 (full: 50)."),
    weights: Path = typer.Option(Path("assets/tiny/omnigen"), help="Folder whose tokenizer and VAE are used."),
    device: Device | None = typer.Option(None, help="By default cuda where there is one."),
    threads: int = typer.Option(2, min=1, max=1024, help="CPU threads."),
    json: Path | None = typer.Option(None, help="File for the rows: name, ours_s, other_s, ratio, max_rel_diff, ..."),
) -> None:
    """Edit, pause sweep, prefix and training step: ours against diffusers, on the same weights, by turns."""
    from madi.bench import clock, model

    rows = model.measure(size.value, steps, weights, device and device.value, threads)
    clock.tell(rows, json)


@app.command()
def train(
    size: Size = typer.Option(Size.small, help="tiny (seconds), small (a CPU, minutes) or full (3.8 B, on a GPU)."),
    weights: Path = typer.Option(Path("assets/tiny/omnigen"), help="Folder whose tokenizer and VAE are used."),
    device: Device | None = typer.Option(None, help="By default cuda where there is one."),
    threads: int = typer.Option(2, min=1, max=1024, help="CPU threads."),
    json: Path | None = typer.Option(None, help="File for the rows: name, ours_s, other_s, ratio, max_rel_diff, ..."),
) -> None:
    """A whole training step: ours against diffusers' padded, unpadded and encoding in the loop, by turns."""
    from madi.bench import clock, train

    rows = train.measure(size.value, weights, device and device.value, threads)
    clock.tell(rows, json)


@app.command()
def data(
    rows: int = typer.Option(400, min=20, help="Pairs of 512 px JPEG pictures."),
    processes: int = typer.Option(2, min=1, help="Of both."),
    json: Path | None = typer.Option(None, help="File for the row: name, ours_s, other_s, ratio, tokens (images), ..."),
) -> None:
    """A published set prepared by us and by `datasets`' own map, on the same rows, by turns."""
    from madi.bench import clock, data

    made = data.measure(rows, processes)
    clock.tell(made, json)


@app.command()
def chat(
    calls: int = typer.Option(640, min=20, help="Each with a picture, to an endpoint that takes 200 ms."),
    at_once: int = typer.Option(32, min=1, help="Of ours."),
    repeats: int = typer.Option(3, min=1, help="Turns."),
    json: Path | None = typer.Option(None, help="File for the row: name, ours_s, other_s, ratio, tokens (calls), ..."),
) -> None:
    """Calls to an MLLM's endpoint: ours at once, the endpoint's own client one after the other, by turns."""
    from madi.bench import chat, clock

    made = chat.measure(calls, at_once, repeats)
    clock.tell(made, json)


@app.command()
def score(
    sources: int = typer.Option(64, min=2, help="Sources, each with two captions."),
    edits: int = typer.Option(8, min=1, help="Edits of each."),
    clip: Path = typer.Option(Path("assets/tiny/clip"), help="Folder of a CLIP."),
    dino: Path = typer.Option(Path("assets/tiny/dino"), help="Folder of a ViT."),
    threads: int = typer.Option(2, min=1, max=1024, help="CPU threads."),
    repeats: int = typer.Option(3, min=1, help="Turns."),
    json: Path | None = typer.Option(None, help="File for the rows: name, ours_s, other_s, ratio, tokens (edits), ..."),
) -> None:
    """Similarities of many edits: ours against a loop of the official scripts' forwards, by turns."""
    from madi.bench import clock, score

    made = score.measure(sources, edits, clip, dino, threads, repeats)
    clock.tell(made, json)


@app.command()
def dag(
    runs: int = typer.Option(1000, min=10, help="Trainings of a grid, in tens."),
    shards: list[int] = typer.Option([2, 10], min=1, help="Shards of each one's edits and scores; several times."),
    json: Path | None = typer.Option(None, help="File for the rows: runs, shards, jobs, plan_s, check_s, ..."),
) -> None:
    """Snakemake's plan of a large grid, and its check that a finished one needs nothing."""
    from madi.bench import dag

    dag.tell([dag.measure(runs, count) for count in shards], json)
