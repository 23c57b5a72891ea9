"""One estimate, from the command line's words to what is printed."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from madi import configfile
from madi.config import Config
from madi.cost import machine as machines
from madi.cost import shown, stages
from madi.errors import MadiError

PROFILE = Path("config/slurm/config.yaml")


@dataclass(frozen=True)
class Wanted:
    """What was asked for. width: jobs at once, None for the default; price: EUR an hour of a GPU."""

    config: Config
    target: str | None = None
    machine: str | None = None
    width: int | None = None
    price: float | None = None


def show(wanted: Wanted, explain: bool = False, json: Path | None = None) -> None:
    """Prints an estimate, and writes it to `json` if that is said."""
    gpu, cpu = machines.pair(wanted.machine)
    found = stages.estimate(wanted.config, gpu, cpu, wanted.target)
    width, why = width_of(wanted.config, found, wanted.width)
    price = wanted.price if wanted.price is not None else gpu.price
    on_gpu = any(part.gpus for stage in found for part in stage.parts)
    print(f"{wanted.config.name}: {f'GPUs as {gpu.name}, ' if on_gpu else ''}cores as {cpu.name}, {why}")
    print(shown.table(found, width))
    hours = sum(stage.sum("gpu_hours") for stage in found)
    if price is not None and hours:
        print(f"GPUs: {hours:,.0f} hours x {price:g} EUR = {hours * price:,.0f} EUR, beside what calls cost")
    for line in shown.explained(found) if explain else ():
        print(line)
    for line in stages.warnings(found):
        print(f"warning: {line}")
    for one in [gpu] * on_gpu + [cpu]:
        print(f"{one.name}: {one.about}")
    if json is not None:
        about = {"config": wanted.config.name, "width": width, "gpu": gpu.name, "cpu": cpu.name, "price": price}
        shown.write(json, found, width, about)


def width_of(config: Config, found: list[stages.Stage], said: int | None) -> tuple[int, str]:
    """(jobs at once, why): as said; the SLURM profile's where jobs take GPUs; else as `--cores all` would here."""
    if said is not None:
        return said, f"{said} job{'s' * (said > 1)} at once"
    if any(part.gpus for stage in found for part in stage.parts):
        if not PROFILE.is_file():
            return 1, "one job at a time (`--width` says otherwise)"
        jobs = configfile.read(PROFILE).content.get("jobs", 1)
        if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
            raise MadiError(f"jobs: {jobs!r}", PROFILE, "a whole number of jobs", "or say --width")
        return jobs, f"{jobs} jobs at once ({PROFILE})"
    cores = max(1, (os.cpu_count() or 1) // config.threads)
    return cores, f"{cores} jobs at once (this machine's cores)"


def calibrated(config: Config, name: str | None) -> str:
    """Measures this machine under a name, `this` by default, and gives the name. Errors: MadiError for a preset's."""
    name = name or machines.OWN
    if name in machines.PRESETS or not name.replace("_", "").replace("-", "").isalnum():
        raise MadiError(f"{name!r} cannot be measured", "--machine", "a name of one's own, letters and digits")
    from madi.cost import calibrate  # what measures imports all that is measured

    path = machines.file_of(name)
    machines.write(calibrate.measure(config, name), path)
    print(f"written: {path}")
    return name
