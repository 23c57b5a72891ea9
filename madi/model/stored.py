"""Reads stored tensors into a model: headers are compared with the config first, then the tensors are read one by one.

The model is built on the meta device, so no random numbers are made for it, and its parameters become views of the
mapped files: a tensor takes memory of its own only if it is cast. Nothing is unpickled.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from madi.errors import MadiError
from madi.progress import progress, say
from madi.shards import read_json

OLD = {".query.": ".to_q.", ".key.": ".to_k.", ".value.": ".to_v.", ".proj_attn.": ".to_out.0."}
Shapes = dict[str, tuple[int, ...]]
DIFFUSERS = "diffusion_pytorch_model"  # the stem of diffusers' weights files
FLOATS = {"F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
EIGHT_BITS = {"F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2"}  # no arithmetic of their own: read as bfloat16
PICKLES = (".pt", ".pth", ".bin", ".ckpt", ".pkl")
POINTER = b"version https://git-lfs"
LARGE = 10**9  # bytes; progress is reported for files of this size and more


@dataclass(frozen=True)
class Header:
    """Where a tensor lies, its shape, and the type that safetensors names (`BF16`, `F8_E4M3`, ...)."""

    path: Path
    shape: tuple[int, ...]
    kind: str


def files(folder: Path, stem: str) -> list[Path]:
    """The safetensors files in a folder: `<stem>.safetensors`, or the shards that its index lists.

    Errors: MadiError if there are none, for a shard that is missing, and for pickles, with the way to convert them.
    """
    one, index = folder / f"{stem}.safetensors", folder / f"{stem}.safetensors.index.json"
    if one.is_file():
        return [one]
    if index.is_file():
        named = read_json(index).get("weight_map")
        if not isinstance(named, dict) or not named:
            raise MadiError("no weight_map", index, "the files of all tensors, by tensor")
        shards = [folder / name for name in sorted(set(named.values()))]
        for shard in shards:
            if not shard.is_file():
                raise MadiError("a shard that the index lists is missing", shard, do="download it again")
        return shards
    if found := [path for path in sorted(folder.glob("*")) if path.suffix in PICKLES]:
        raise pickled(found[0], stem)
    if other := next(folder.glob("*.safetensors"), None):
        known = f"{one.name}, or shards with their {index.name}"
        raise MadiError(f"{other.name}, but no file that diffusers opens", folder, known)
    raise MadiError("no *.safetensors file", folder, f"{one.name} (nothing is unpickled)")


def pickled(path: Path, stem: str) -> MadiError:
    """The error for weights as a pickle, which may run code when it is read."""
    load = f"torch.load('{path.name}', map_location='cpu', mmap=True, weights_only=True)"
    save = f"safetensors.torch.save_file({{k: v.contiguous() for k, v in {load}.items()}}, '{stem}.safetensors')"
    do = f'convert it in that folder: python -c "import torch, safetensors.torch; {save}"'
    return MadiError("a pickle, which is never read (it may run code)", path, f"{stem}.safetensors", do)


@contextmanager
def opened(path: Path) -> Iterator:
    """A safetensors file. Errors: MadiError for a git-lfs pointer and for a file that is cut short."""
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (SafetensorError, OSError) as fault:
        raise unreadable(path, fault) from None


def unreadable(path: Path, fault: Exception) -> MadiError:
    """What a safetensors file that cannot be read is: a git-lfs pointer, or not whole."""
    with open(path, "rb") as raw:
        if raw.read(len(POINTER)) == POINTER:
            what = "a git-lfs pointer, not the weights themselves"
            return MadiError(what, path, "a safetensors file", "run `git lfs pull` in that folder")
    return MadiError(f"not a whole safetensors file ({' '.join(str(fault).split())})", path, do="download it again")


def headers(paths: list[Path]) -> dict[str, Header]:
    """The headers of all tensors in the files, without their numbers.

    Errors: MadiError naming a tensor that holds no floating-point numbers, and a file that cannot be read.
    """
    found: dict[str, Header] = {}
    for path in paths:
        with opened(path) as file:
            for name in file.keys():  # noqa: SIM118
                part = file.get_slice(name)
                found[name] = Header(path, tuple(part.get_shape()), str(part.get_dtype()))
                if found[name].kind not in FLOATS | EIGHT_BITS:
                    known = ", ".join([*FLOATS, *EIGHT_BITS])
                    raise MadiError(f"tensor {name} is of type {found[name].kind}", path, f"one of {known}")
    if not found:
        raise MadiError("holds no tensors", paths[0])
    return found


def dtype(found: dict[str, Header]) -> torch.dtype:
    """The type of most tensors; bfloat16 for 8-bit ones."""
    kind = Counter(header.kind for header in found.values()).most_common(1)[0][0]
    return FLOATS.get(kind, torch.bfloat16)


def tensors(found: dict[str, Header], kind: torch.dtype, label: str) -> Iterator[tuple[str, torch.Tensor]]:
    """(name, tensor of type `kind`) of all headers, file by file, with progress for large files.

    Errors: MadiError naming a tensor with NaN or infinite numbers in it.
    """
    paths = list(dict.fromkeys(header.path for header in found.values()))
    size, bar = sum(os.path.getsize(path) for path in paths), iter(range(len(found)))
    if size >= LARGE:
        say(f"{label}: {size / 1e9:.1f} GB, {len(found)} tensors")
        bar = progress(bar, len(found), label)
    for path in paths:
        with opened(path) as file:
            for name in file.keys():  # noqa: SIM118
                next(bar, None)
                value = file.get_tensor(name)
                value = value if value.dtype == kind else value.to(kind)  # 8-bit types cannot even be summed
                check_finite(name, value, path)
                yield name, value
    next(bar, None)


def check_finite(name: str, value: torch.Tensor, where: Path) -> None:
    """Errors: MadiError if a tensor holds NaN or infinite numbers."""
    if value.sum(dtype=torch.float32).isfinite() or value.isfinite().all():  # a sum is quick, but may overflow
        return
    count = int((~value.isfinite()).sum())
    raise MadiError(f"tensor {name} holds {count} numbers that are NaN or infinite", where, "finite weights")


def read(folder: Path, kind: type, numbers: torch.dtype | None = None):
    """The model of a diffusers class `kind` in a folder, on the CPU. numbers: their type, None for as they are stored.

    Errors: MadiError with the first tensors that are missing, unknown or of another shape than config.json says, naming
    a file that is broken or a pickle, or a tensor that holds no finite floating-point numbers.
    """
    if not (folder / "config.json").is_file():
        raise MadiError("no config.json", where=folder, expected="a part of a stock OmniGenPipeline folder")
    model = described(folder, kind)
    found = headers(files(folder, DIFFUSERS))
    compare({_renamed(name): header.shape for name, header in found.items()}, shapes_of(model.state_dict()), folder)
    pairs = tensors(found, numbers or dtype(found), f"reading {folder}")
    return filled(model, {_renamed(name): value for name, value in pairs})


def filled(model: torch.nn.Module, state: dict[str, torch.Tensor]):
    """A model from the meta device with these tensors as its own, ready for inference."""
    model.load_state_dict(state, assign=True)
    return model.eval()


def empty(make: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """A diffusers model on the meta device: shapes without numbers. Its rotary factors, which no file holds, are real.

    Built anew from its config, since stock keeps their frequencies in a buffer that is not saved.
    """
    with torch.device("meta"):
        model = make()
    if rope := getattr(model, "rope", None):
        factors = {"short_factor": rope.short_factor, "long_factor": rope.long_factor}
        most = rope.max_position_embeddings, rope.original_max_position_embeddings
        model.rope = type(rope)(rope.dim, *most, base=rope.base, rope_scaling=factors)
    return model


def described(folder: Path, kind: type):
    """The model that a folder's config.json describes, without its numbers."""
    try:
        return empty(lambda: kind.from_config(kind.load_config(folder)))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, ZeroDivisionError, RuntimeError) as fault:
        reason = " ".join(str(fault).split())[:200]
        raise MadiError(f"no {kind.__name__} ({reason})", folder / "config.json", "what diffusers wrote") from None


def _renamed(name: str) -> str:
    """The present name of a VAE's attention tensor of older diffusers, which `from_pretrained` renames too."""
    for old, new in OLD.items():
        name = name.replace(old, new)
    return name


def shapes_of(state: dict[str, torch.Tensor]) -> Shapes:
    """Shapes by name."""
    return {name: tuple(value.shape) for name, value in state.items()}


def compare(found: Shapes, expected: Shapes, where: Path, config: str = "config.json") -> None:
    """Errors: MadiError with the first tensors that are missing, unknown or of another shape than `config` says."""
    if wrong := [name for name in expected | found if expected.get(name) != found.get(name)]:
        first = ", ".join(f"{name} {dims(found.get(name))} for {dims(expected.get(name))}" for name in wrong[:3])
        count = "1 tensor differs" if len(wrong) == 1 else f"{len(wrong)} tensors differ"
        what = f"{count} from {config} (found for expected): {first}"
        raise MadiError(what, where, do=f"use the {config} that these weights were saved with")


def dims(shape: tuple[int, ...] | None) -> str:
    """`3x4`, or `none`."""
    return "none" if shape is None else "x".join(map(str, shape))
