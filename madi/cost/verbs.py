"""`madi cost`: what a scale will take, before it is run."""

from pathlib import Path

import typer


def cost(
    target: str | None = typer.Argument(None, help="One stage: data, prompts, train, edit, score or tables."),
    config: list[Path] = typer.Option([Path("config/demo.yaml")], help="A config; once more for one laid over it."),
    machine: str | None = typer.Option(None, help="a100-80gb, h100-80gb, one that was measured, or a file of one."),
    width: int | None = typer.Option(
        None, min=1, help="Jobs at once; by default the profile's, or as the cores allow."
    ),
    price: float | None = typer.Option(None, min=0, help="EUR an hour of a GPU."),
    explain: bool = typer.Option(False, "--explain", help="Every formula with its inputs."),
    json: Path | None = typer.Option(None, help="Write all numbers here too."),
    calibrate: bool = typer.Option(
        False, "--calibrate", help="Measure this machine first, as `--machine` (or `this`)."
    ),
) -> None:
    """Jobs, GPU hours, wall hours, disk, files, calls and money of a scale, by stage, before anything is run."""
    from madi.config import load
    from madi.cost import run

    found = load(config)
    if calibrate:
        machine = run.calibrated(found, machine)
    run.show(run.Wanted(found, target, machine, width, price), explain, json)
