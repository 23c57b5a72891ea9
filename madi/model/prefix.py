"""The prefix cache: keys and values of prompts, which no denoising step changes, computed once and shared.

Neither text nor source images ever look at the time token or the noise, so their keys and values are the same at all
steps: caching them is exact. Prompts of one request that begin alike (conditional and image-only, all pause counts)
share what they have in common; it is computed once and held once.

Shapes: S prompt tokens, T noise tokens, H key heads, D channels a head, N layers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch

from madi.model.attention import Call, Segment, calls
from madi.model.packed import Packed
from madi.model.prompt import Prompt
from madi.model.runs import Run, part, prompt_runs

# Noise tokens that run through the blocks together on a CPU: more fall out of its caches (measured: twelve rows of
# 1,025 tokens in one stream take 16 % longer than four streams of three).
CPU_STREAM = 4096
CGROUP = Path("/sys/fs/cgroup")


@dataclass(eq=False)
class Chunk:
    """Keys and values [N,2,end-begin,H,D] of positions [begin, end) of a prompt, behind those of `before`."""

    begin: int
    end: int
    held: torch.Tensor
    before: Chunk | None = None

    def parts(self, layer: int) -> list[torch.Tensor]:
        """[2,*,H,D] of positions [0, end), in pieces."""
        return [*(self.before.parts(layer) if self.before else ()), self.held[layer]]

    def join(self, layer, keys, values):
        """While the prompt is run: holds what is handed over; see `attention.Holder`."""
        self.held[layer, 0], self.held[layer, 1] = keys, values
        return torch.cat(self.parts(layer), 1).unbind() if self.before else (keys, values)


class Behind:
    """Noise tokens behind a prefix. `room` [2,>=S+1+T,H,D] is written anew in every call and may serve many."""

    def __init__(self, prefix: Chunk, room: torch.Tensor):
        self.prefix, self.room = prefix, room

    def join(self, layer, keys, values):
        """The prefix's keys and values with those of the time and noise tokens behind them."""
        at = 0
        for piece in self.prefix.parts(layer):
            self.room[:, at : at + piece.shape[1]] = piece
            at += piece.shape[1]
        end = at + len(keys)
        self.room[0, at:end], self.room[1, at:end] = keys, values
        return self.room[0, :end], self.room[1, :end]


def bytes_per_token(packed: Packed) -> int:
    """What one prompt token takes in the cache: 393,216 bytes in bfloat16 at OmniGen's size."""
    heads, width = key_shape(packed)
    return packed.stock.config.num_layers * 2 * heads * width * packed.stock.dtype.itemsize


def working_bytes(packed: Packed) -> int:
    """About what one token in flight takes in a block: its hidden state, queries, keys, values and the wide MLP."""
    config = packed.stock.config
    return (8 * config.hidden_size + 5 * config.intermediate_size) * packed.stock.dtype.itemsize


def key_shape(packed: Packed) -> tuple[int, int]:
    """(H, D)."""
    config = packed.stock.config
    return config.num_key_value_heads, config.hidden_size // config.num_attention_heads


@dataclass(eq=False)
class Stem:
    """Positions [begin, end) that the prompts `members` share, behind `before`; `chunk` holds them once run."""

    members: list[int]
    begin: int
    end: int
    total: int
    before: Stem | None = None
    chunk: Chunk | None = None

    @property
    def depth(self) -> int:
        return 0 if self.before is None else self.before.depth + 1


def stems(prompts: Sequence[Prompt], requests: Sequence[Hashable], totals: Sequence[int]) -> list[Stem]:
    """What to run for the prompts: what those of one request have in common once, level by level.

    Prompts share within their request alone, so that what a request gets does not depend on the others.
    """
    out = [
        Stem(same, 0, 0, totals[same[0]]) for same in parted(range(len(prompts)), lambda i: (requests[i], totals[i]))
    ]
    for stem in out:  # grows while it is read
        stem.end = agree([prompts[number].marks for number in stem.members], stem.begin)
        longer = [number for number in stem.members if len(prompts[number]) > stem.end]
        for members in parted(longer, lambda i: prompts[i].marks[stem.end]):  # noqa: B023 (used at once)
            out.append(Stem(members, stem.end, stem.end, stem.total, stem))
    return out


def parted(numbers: Iterable[int], by: Callable[[int], Hashable]) -> list[list[int]]:
    """The numbers in groups of equal `by`, in order."""
    groups: dict[Hashable, list[int]] = {}
    for number in numbers:
        groups.setdefault(by(number), []).append(number)
    return list(groups.values())


def agree(marks: Sequence[list], begin: int) -> int:
    """Up to where all are alike, from `begin` on."""
    end = min(map(len, marks))
    return next((at for at in range(begin, end) if any(m[at] != marks[0][at] for m in marks)), end)


@torch.no_grad()
def prefill(packed: Packed, prompts: Sequence[Prompt], requests: Sequence[Hashable], totals: Sequence[int]):
    """A chunk for each prompt that holds all of it; equal prompts of one request get the same chunk.

    totals: as in `Packed.forward`; the rotary factors depend on the whole sequence, so a prefix is told its length.
    """
    sides = [packed.far(total) for total in totals]  # prompts on one side of the limit have the same factors
    grown = stems(prompts, requests, [totals[sides.index(side)] for side in sides])
    for depth in range(max(stem.depth for stem in grown) + 1):
        if level := [stem for stem in grown if stem.depth == depth and stem.end > stem.begin]:
            run(packed, level, prompts)
    ends = {number: stem.chunk for stem in grown for number in stem.members if len(prompts[number]) == stem.end}
    return [ends[number] for number in range(len(prompts))]


def run(packed: Packed, level: list[Stem], prompts: Sequence[Prompt]) -> None:
    """Runs what the stems of one level add through the trunk, in one stream, and gives each its chunk."""
    heads, width = key_shape(packed)
    segments = []
    for stem in level:
        prompt, length = prompts[stem.members[0]], stem.end - stem.begin
        shape = (packed.stock.config.num_layers, 2, length, heads, width)
        held = torch.empty(shape, dtype=packed.stock.dtype, device=packed.stock.device)
        stem.chunk = Chunk(stem.begin, stem.end, held, stem.before and stem.before.chunk)
        covers = calls(part(prompt_runs(len(prompt), prompt.slots), stem.begin, stem.end), held.device)
        segments.append(Segment(length, covers, stem.total, stem.begin, stem.chunk))
    pieces = [prompts[stem.members[0]].part(stem.begin, stem.end) for stem in level]
    packed.trunk(torch.cat(packed.words(pieces)), segments)


class Steps:
    """Velocities of many noises behind their prefixes: what the steps have in common is made once, here."""

    def __init__(
        self,
        packed: Packed,
        prefixes: Sequence[Chunk],
        totals: Sequence[int],
        shape: Sequence[int],
        shifts: Sequence[int] | None = None,
    ):
        """shape: (C, h, w) of the latents, h and w in whole patches. shifts: as `Segment.shift`; None: nowhere."""
        self.packed = packed
        tail = 1 + shape[-2] * shape[-1] // packed.stock.config.patch_size**2
        longest = max(prefix.end for prefix in prefixes) + tail
        device = packed.stock.device
        room = torch.empty(2, longest, *key_shape(packed), dtype=packed.stock.dtype, device=device)
        segments = [
            Segment(tail, tail_calls(prefix.end, tail, device), total, prefix.end, Behind(prefix, room), shift)
            for prefix, total, shift in zip(prefixes, totals, shifts or [0] * len(prefixes), strict=True)
        ]
        rows = len(segments) if device.type == "cuda" else max(1, CPU_STREAM // tail)
        self.groups = [segments[at : at + rows] for at in range(0, len(segments), rows)]
        self.rotary = [packed.rotary(group, device) for group in self.groups]

    @torch.no_grad()
    def __call__(self, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Velocity [B,C,h,w] at `x` [B,C,h,w] and times `t` [B], one row a prefix."""
        tokens, clock = self.packed.tail(x, t)
        out, at = torch.empty_like(tokens), 0
        for group, rotary in zip(self.groups, self.rotary):
            here = slice(at, at + len(group))
            out[here] = self.packed.trunk(tokens[here].flatten(0, 1), group, rotary).view_as(tokens[here])
            at = here.stop
        return self.packed.velocity(out[:, 1:], clock, x.shape)


def tail_calls(start: int, tail: int, device) -> list[Call]:
    """The time token and the noise tokens behind `start` prompt tokens."""
    return calls([Run(start, start + 1, True), Run(start + 1, start + tail, False)], device)


def free_bytes(device: torch.device) -> int:
    """Memory that is free on a CUDA device (what torch keeps unused is) or, elsewhere, for this process."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    return min([psutil.virtual_memory().available, *_left_to_group()])


def _left_to_group() -> list[int]:
    """What a cluster's limit leaves to this process, where there is one."""
    try:
        most, used = (int((CGROUP / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such file, or "max"
        return []
    return [max(0, most - used)]
