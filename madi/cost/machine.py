"""What a machine does a second, and what it costs: presets of GPUs by public figures, CPUs as they were measured.

No GPU was at hand: a preset's shares are what others published for work of this kind, and say so. `madi cost
--calibrate` measures a machine by the project's own code and writes it where `named` finds it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from madi.configfile import short
from madi.errors import MadiError
from madi.shards import read_json, write_json
from madi.values import Count, NonNegative, Positive

FOLDER = Path("results/bench")
KINDS = ("train", "edit", "vae", "embed")  # of work that is counted in operations
# What is counted in seconds: starts of a job without and with a model, of the oracle; a scene's sample, a megapixel
# read and resized, the oracle's verdict, an edit's scores and its record, an answer's row.
ITEMS = ("start", "load", "oracle", "sample", "megapixel", "verdict", "scored", "edited", "row")
OMNIGEN_TIMES = "https://github.com/VectorSpaceLab/OmniGen/blob/main/docs/inference.md"
LLM_TIMES = "https://github.com/mosaicml/llm-foundry/blob/main/scripts/train/benchmarking/README.md"


@dataclass(frozen=True)
class Machine:
    """One GPU, or CPU cores.

    peak: operations a second of a matrix product. shares: of the peak that each kind of work reaches, by executed
    operations. memory: bytes a second; disk: bytes a second that weights load at. seconds: of one core, for what is not
    counted in operations (a CPU's alone). price: EUR an hour of one GPU (or core), None where nobody said. about: where
    its figures are from.
    """

    name: str
    device: Literal["cuda", "cpu"]
    peak: Positive
    shares: dict[str, Positive]
    about: str
    memory: Positive = 20e9
    disk: Positive = 1e9
    seconds: dict[str, Positive] = field(default_factory=dict)
    price: NonNegative | None = None
    cores: Count = 1

    def rate(self, kind: str, devices: float = 1) -> float:
        """Operations a second of work of a kind on so many GPUs or cores."""
        return self.peak * self.shares[kind] * devices


# Peaks: NVIDIA's data sheets, bfloat16 without sparsity, SXM. `edit`: OmniGen's own 60 s an edit at 1024 px on an A800
# (OMNIGEN_TIMES) come to 0.33 by operations. `train`: models of 3 to 7 B numbers at 8,192 tokens, divided among eight
# GPUs, reach 0.57 to 0.73 of an A100 and 0.40 to 0.50 of an H100 (LLM_TIMES); assumed less here, where nobody has tuned
# on one. `vae` and `embed` compute in float32: the data sheets' peak of that without tensor cores, 19.5 and 67e12.
PRESETS = {
    "a100-80gb": Machine(
        "a100-80gb",
        "cuda",
        312e12,
        {"train": 0.50, "edit": 0.33, "vae": 0.0625, "embed": 0.0625},
        f"peaks by NVIDIA; edit from {OMNIGEN_TIMES}; train assumed, below {LLM_TIMES}; nothing measured",
        memory=2.0e12,
    ),
    "h100-80gb": Machine(
        "h100-80gb",
        "cuda",
        989e12,
        {"train": 0.38, "edit": 0.25, "vae": 0.068, "embed": 0.068},
        f"peaks by NVIDIA; train assumed, below {LLM_TIMES}; edit in the A100's proportion; nothing measured",
        memory=3.35e12,
    ),
}
DEFAULT_GPU, DEFAULT_CPU, OWN = "a100-80gb", "cpu_core", "this"


def file_of(name: str) -> Path:
    return FOLDER / f"machine_{name}.json"


def named(name: str) -> Machine:
    """A preset, a machine that was measured under this name, or the one in a file. Errors: MadiError for another."""
    if name in PRESETS:
        return PRESETS[name]
    path = Path(name) if name.endswith(".json") else file_of(name)
    if path.is_file():
        return read(path)
    measured = sorted(file.stem.removeprefix("machine_") for file in FOLDER.glob("machine_*.json"))
    do = "`madi cost --calibrate` measures this one" if name == OWN else None
    raise MadiError(
        f"no machine called {name!r}", "--machine", f"one of {', '.join([*PRESETS, *measured])}, or a file", do
    )


def read(path: Path) -> Machine:
    """A machine's file. Errors: MadiError naming what is missing or no number."""
    raw = read_json(path)
    known = {one.name for one in fields(Machine)}
    if not isinstance(raw, dict) or raw.keys() - known or {"name", "device", "peak", "shares", "about"} - raw.keys():
        raise MadiError("not a machine's file", path, "what `madi cost --calibrate` writes")
    try:
        made = TypeAdapter(Machine).validate_json(json.dumps(raw), strict=True)
    except ValidationError as bad:
        first = bad.errors()[0]
        key, said = ".".join(map(str, first["loc"])), first["msg"].removeprefix("Input should be ")
        raise MadiError(f"{key} is {short(first['input'])}", path, said, "measure it anew") from None
    wanted = [(made.shares, "shares", KINDS)] + [(made.seconds, "seconds", ITEMS)] * (made.device == "cpu")
    lacking = [f"{part}.{key}" for there, part, keys in wanted for key in keys if key not in there]
    if lacking:
        raise MadiError(f"no {', '.join(lacking)}", path, "a number over 0 for each", "measure it anew")
    return made


def write(machine: Machine, path: Path) -> None:
    write_json(path, asdict(machine))


def pair(name: str | None) -> tuple[Machine, Machine]:
    """(GPU, CPU core) of a scale: the named one in its own place, beside it the defaults."""
    own = named(name) if name else None
    cpu = named(OWN if file_of(OWN).is_file() else DEFAULT_CPU) if own is None or own.device != "cpu" else own
    return (own if own and own.device == "cuda" else PRESETS[DEFAULT_GPU]), cpu
