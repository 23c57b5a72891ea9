"""Holds stored tensors against the model that their config describes, by headers alone, before anything is loaded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch
from accelerate import init_empty_weights
from diffusers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFETENSORS_WEIGHTS_NAME
from safetensors import SafetensorError, safe_open

from madi.errors import MadiError

OLD = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
Shapes = dict[str, tuple[int, ...]]


def check(folder: Path, kind: type) -> None:
    """Hold the tensors in a folder against its config.json, read as a diffusers model `kind`.

    Errors: MadiError with the first tensors that are missing, unknown or of another shape, or naming a broken file.
    """
    if not (folder / "config.json").is_file():
        raise MadiError("no config.json", where=folder, expected="a part of a stock OmniGenPipeline folder")
    model = _empty(folder, kind)
    found = shapes(folder)
    if not any((folder / name).is_file() for name in (SAFETENSORS_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME)):
        known = f"{SAFETENSORS_WEIGHTS_NAME}, or shards with their {SAFE_WEIGHTS_INDEX_NAME}"
        other = next(folder.glob("*.safetensors")).name
        raise MadiError(f"{other}, but no file that diffusers opens", folder, known)
    renamed = {_renamed(name): shape for name, shape in found.items()}
    compare(renamed, shapes_of(model.state_dict()), folder, "config.json")


def read(folder: Path, kind: type, **options):
    """The model in a checked folder. Errors: as `check`, and for a shard that is missing."""
    check(folder, kind)
    try:
        return kind.from_pretrained(folder, use_safetensors=True, **options)
    except (OSError, SafetensorError) as fault:
        raise MadiError(" ".join(str(fault).split())[:200], folder, "all files that its index names") from None


def _renamed(name: str) -> str:
    """The present name of a VAE's attention tensor of older diffusers, which `from_pretrained` renames too."""
    for old, new in OLD.items():
        name = name.replace(old, new)
    return name


def dtype(folder: Path) -> torch.dtype:
    """The type of most numbers in a folder's safetensors files."""
    kinds: Counter[str] = Counter()
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, "pt") as file:
            kinds.update(file.get_slice(name).get_dtype() for name in file.keys())  # noqa: SIM118
    return {"BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}.get(
        kinds.most_common(1)[0][0], torch.float32
    )


def shapes_of(state: dict[str, torch.Tensor]) -> Shapes:
    return {name: tuple(value.shape) for name, value in state.items()}


def compare(found: Shapes, expected: Shapes, where: Path, config: str) -> None:
    """Errors: MadiError with the first tensors that are missing, unknown or of another shape than `config` tells."""
    if wrong := [name for name in expected | found if expected.get(name) != found.get(name)]:
        told = ", ".join(f"{name} {dims(found.get(name))} for {dims(expected.get(name))}" for name in wrong[:3])
        count = "1 tensor differs" if len(wrong) == 1 else f"{len(wrong)} tensors differ"
        what = f"{count} from {config} (found for expected): {told}"
        raise MadiError(what, where, do=f"use the {config} that these weights were saved with")


def _empty(folder: Path, kind: type):
    """The model that a folder's config.json describes, without its numbers."""
    try:
        with init_empty_weights():
            return kind.from_config(kind.load_config(folder))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise MadiError(f"no {kind.__name__} ({reason})", folder / "config.json", "what diffusers wrote") from None


def shapes(folder: Path) -> Shapes:
    """Shapes of all tensors in a folder's safetensors files. Errors: MadiError naming a broken or missing file."""
    found: Shapes = {}
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, "pt") as file:
                found |= {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
        except SafetensorError as fault:
            raise MadiError(f"not a whole safetensors file ({fault})", where=path) from None
    if not found:
        raise MadiError("no *.safetensors file", where=folder, expected="weights as safetensors (nothing is unpickled)")
    return found


def dims(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else "x".join(map(str, shape))
