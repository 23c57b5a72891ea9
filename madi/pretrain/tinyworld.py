"""`madi tinyworld ...`: the small world that ships with the project, and how well a base draws in it."""

from pathlib import Path

import typer

app = typer.Typer(no_args_is_help=True, help="Measure a base in the small world that ships with the project.")


@app.callback()
def tinyworld() -> None:
    """Measure a base in the small world that ships with the project."""


@app.command()
def quality(
    edits: int = typer.Option(400, min=8, help="How many held-out edits, and how many GenEval prompts."),
    weights: Path = typer.Option(
        Path("assets/tiny/omnigen"), help="Weights folder, as stock OmniGenPipeline loads it."
    ),
    config: Path = typer.Option(Path("config/pretrain.yaml"), help="Pretraining config: the sampler's settings."),
    seed: int = typer.Option(1, help="Seed of the held-out samples; training's own looks use seed 0."),
    json: Path | None = typer.Option(None, help="File (JSON) to write the scores to."),
    sheet: Path | None = typer.Option(None, help="Picture (.png or .jpg) of the first 24 edits to write."),
) -> None:
    """Score a base on held-out edits in the benchmarks' words, by task, and on GenEval prompts, by tag."""
    from madi.model import checkpoint
    from madi.pretrain import quality as measured
    from madi.pretrain.settings import read
    from madi.provenance import folder_sha
    from madi.shards import write_json

    sampler, found = read(config).base.sample, checkpoint.load(weights)
    scores = {
        "weights": folder_sha(weights),
        "seed": seed,
        "edits": measured.edits(found, sampler, edits, seed, sheet=sheet),
        "geneval": measured.text_to_image(found, sampler, edits, seed),
    }
    for task, row in scores["edits"].items():
        print(f"{task:12} " + "  ".join(f"{name} {value:g}" for name, value in row.items()))
    print(f"{'geneval':12} " + "  ".join(f"{name} {value:g}" for name, value in scores["geneval"].items()))
    if json is not None:
        write_json(json, scores)
