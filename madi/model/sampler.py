"""Euler steps from noise to image under stock OmniGen's guidance.

Shapes: B samples, C latent channels, h x w latent pixels; each sample has two (T2I) or three branches.
Time t runs from 0 (noise) to 1 (image).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from diffusers import FlowMatchEulerDiscreteScheduler

from madi.model import prefix
from madi.model.packed import Packed
from madi.model.prompt import Branches
from madi.progress import say

SCHEDULE = {"num_train_timesteps": 1, "shift": 1.0, "invert_sigmas": True}  # stock OmniGen's


def scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The scheduler that a stock OmniGen folder holds."""
    return FlowMatchEulerDiscreteScheduler(**SCHEDULE)


def times(steps: int) -> torch.Tensor:
    """The stock pipeline's times: float32 [steps + 1] from 0 to 1."""
    schedule = scheduler()
    schedule.set_timesteps(sigmas=np.linspace(1, 0, steps + 1)[:steps])
    return schedule.sigmas


def generator_for(*key: object) -> torch.Generator:
    """A CPU generator that depends on the key alone: not on order, batch, device or what was drawn before."""
    digest = hashlib.sha256("\0".join(map(str, key)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def noise_for(seed: int, key: str, shape) -> torch.Tensor:
    """Standard normal float32 noise of one sample; the same for every editor and pause count."""
    return torch.randn(tuple(shape), generator=generator_for("noise", seed, key))


class Sampler:
    """Samples under one guidance. Holds the unconditional prompt's keys, which are the same for every request as long
    as the weights are.

    rope: which length picks a branch's rotary factors: `own`, as official OmniGen does by default and as training
    does, or `longest`, the longest branch of the request, as stock diffusers does.
    """

    def __init__(self, packed: Packed, steps: int, guidance: float, image_guidance: float, rope: str = "own"):
        self.packed, self.steps, self.by = packed, steps, rope
        self.guidance, self.image_guidance = guidance, image_guidance
        self.unconditional: dict[tuple, prefix.Chunk] = {}
        self.made_with: list | None = None  # marks of the weights that made these
        self.warned = False

    @torch.no_grad()
    def __call__(
        self,
        conditions: Sequence[Branches],
        noise: torch.Tensor,
        requests: Sequence[Hashable] | None = None,
        tick: Callable[[], None] = lambda: None,
    ) -> torch.Tensor:
        """Latents [B,C,h,w] made from `noise` [B,C,h,w].

        requests: whose each condition is; the pause counts and seeds of one sample share their prefixes. As many go
        together as memory allows. tick: called after each step of each such batch.

        v = v_unc + image_guidance * (v_img - v_unc) + guidance * (v_cond - v_img); without source images v_img is
        v_unc, which leaves v_unc + guidance * (v_cond - v_unc).
        """
        requests = range(len(conditions)) if requests is None else requests
        self._warn_of_crossing(conditions, noise.shape)
        noise = noise.to(self.packed.stock.device)
        made = []
        for some in self.batches(conditions, requests, noise.shape):
            made.append(self._together(conditions[some], noise[some], requests[some], tick))
        return torch.cat(made)

    def rope(self, condition: Branches, shape: torch.Size) -> str:
        """The rotary factors of a condition at noise [B,C,h,w]: `short` or `long` where all branches have the same,
        else each branch's, such as `conditional long, unconditional short, image_only long`."""
        sides = ["long" if self.packed.far(total) else "short" for total in self.totals(condition, shape)]
        if len(set(sides)) == 1:
            return sides[0]
        return ", ".join(f"{name} {side}" for name, side in zip(("conditional", "unconditional", "image_only"), sides))

    def totals(self, condition: Branches, shape: torch.Size) -> list[int]:
        """For each of a condition's prompts, in the order of `_lay_out`, the sequence length that picks its rotary
        factors at noise [B,C,h,w]. Inference pauses do not count: a sweep over them never changes the factors."""
        prompts = [len(condition.conditional) - condition.pauses, len(condition.unconditional)]
        prompts += [len(condition.image_only)] if condition.image_only is not None else []
        tail = 1 + shape[-2] * shape[-1] // self.packed.stock.config.patch_size**2
        longest = max(prompts)
        return [(longest if self.by == "longest" else own) + tail for own in prompts]

    def _warn_of_crossing(self, conditions: Sequence[Branches], shape: torch.Size) -> None:
        """Once a sampler: pauses that lengthen a sequence past where stock would change its rotary factors."""
        limit, patch = self.packed.stock.config.original_max_position_embeddings, self.packed.stock.config.patch_size
        for condition in conditions:
            total = self.totals(condition, shape)[0]
            length = len(condition.conditional) + 1 + shape[-2] * shape[-1] // patch**2
            if self.packed.far(length) and not self.packed.far(total) and not self.warned:
                self.warned = True
                say(
                    f"warning: {condition.pauses} pauses make a sequence of {length} tokens, past {limit}: it keeps "
                    "the short rotary factors that it has without pauses, where stock OmniGen would take the long ones"
                )

    def batches(self, conditions: Sequence[Branches], requests: Sequence[Hashable], shape: torch.Size) -> list[slice]:
        """The conditions, in order, in as few batches as fit into 80 % of what memory is free."""
        tail = 1 + shape[-2] * shape[-1] // self.packed.stock.config.patch_size**2
        free = 0.8 * prefix.free_bytes(self.packed.stock.device)
        starts, mine, rows = [0], {}, 0
        for number, (condition, request) in enumerate(zip(conditions, requests, strict=True)):
            before = mine.get(request, ([], 0))[0]
            mine[request] = self._grown(before, condition, shape)
            rows += 2 + (condition.image_only is not None)
            held = sum(tokens for _, tokens in mine.values()) * prefix.bytes_per_token(self.packed)
            if held + rows * tail * prefix.working_bytes(self.packed) > free and number > starts[-1]:
                starts.append(number)
                mine, rows = {request: self._grown([], condition, shape)}, 2 + (condition.image_only is not None)
        return [slice(*of) for of in zip(starts, [*starts[1:], len(conditions)])]

    def _grown(self, before: list[Branches], condition: Branches, shape) -> tuple[list[Branches], int]:
        """One request's conditions with one more, and how many tokens their prefixes hold together."""
        conditions = [*before, condition]
        prompts, _, _ = _lay_out(conditions)
        sides = [self.packed.far(total) for condition in conditions for total in self.totals(condition, shape)]
        grown = prefix.stems(prompts, [0] * len(prompts), sides)
        return conditions, sum(stem.end - stem.begin for stem in grown)

    def _together(self, conditions, x, requests, tick):
        prompts, owner, places = _lay_out(conditions)
        totals = [total for condition in conditions for total in self.totals(condition, x.shape)]
        chunks = self._prefixes(prompts, owner, places, totals, requests)
        shifts = [conditions[o].shift * (row == places[o][0]) for row, o in enumerate(owner)]
        steps = prefix.Steps(self.packed, chunks, totals, x.shape[1:], shifts)
        conditional, image_only, unconditional = torch.tensor(places).T
        clock = times(self.steps).to(x.device)
        for now, then in zip(clock[:-1], clock[1:]):
            v = steps(x[owner].to(self.packed.stock.dtype), now.expand(len(owner))).to(x.dtype)
            c, i, u = v[conditional], v[image_only], v[unconditional]
            x = x + (then - now) * (u + self.image_guidance * (i - u) + self.guidance * (c - i))
            tick()
        return x

    def _prefixes(self, prompts, owner, places, totals, requests) -> list[prefix.Chunk]:
        """Of each prompt; the unconditional ones are run once for all requests with the same rotary factors."""
        weights = [(p.data_ptr(), p._version, p.dtype, p.device) for p in self.packed.stock.parameters()]
        if weights != self.made_with:
            self.unconditional, self.made_with = {}, weights
        same = {place[2] for place in places if not prompts[place[2]].images}
        own = [number for number in range(len(prompts)) if number not in same]
        chunks = dict(zip(own, self._prefill(own, prompts, [requests[o] for o in owner], totals), strict=True))
        for number in same:
            key = self.packed.far(totals[number]), *prompts[number].ids
            if key not in self.unconditional:
                (self.unconditional[key],) = self._prefill([number], prompts, {number: 0}, totals)
            chunks[number] = self.unconditional[key]
        return [chunks[number] for number in range(len(prompts))]

    def _prefill(self, numbers, prompts, requests, totals):
        return prefix.prefill(self.packed, *([of[number] for number in numbers] for of in (prompts, requests, totals)))


def _lay_out(conditions: Sequence[Branches]):
    """All prompts in a row, whose each is, and per sample the places of its conditional, image-only, unconditional."""
    prompts, owner, places = [], [], []
    for sample, branch in enumerate(conditions):
        start = len(prompts)
        mine = [branch.conditional, branch.unconditional] + [branch.image_only] * (branch.image_only is not None)
        prompts += mine
        owner += [sample] * len(mine)
        places.append((start, start + len(mine) - 1, start + 1))
    return prompts, owner, places
