"""Each branch takes its rotary factors by its own length, as officially and as in training; `longest` is the switch."""

import pytest
import torch

from madi.model import prefix
from madi.model.sampler import Sampler, noise_for, times

NOISE = noise_for(0, "a", (1, 4, 8, 8))
SOURCE = noise_for(0, "source", (4, 8, 8))


@pytest.fixture(scope="module")
def between(tiny_weights):
    """Weights whose rotary limit lies between the unconditional prompt and the longer others."""
    tokens = tiny_weights().tokens
    branches = tokens.branches("long words " * 40, [SOURCE] * 24)
    short, *rest = sorted(len(p) + 17 for p in (branches.unconditional, branches.image_only, branches.conditional))
    assert short == len(branches.unconditional) + 17 < rest[0]
    weights = tiny_weights(original_max_position_embeddings=short)
    weights.packed.float()
    return weights, weights.tokens.branches("long words " * 40, [SOURCE] * 24)


def one_step(weights, branches, totals):
    """An Euler step by the packed model, no cache: each prompt alone, with the rotary factors of the length given."""
    prompts = [branches.conditional, branches.unconditional, branches.image_only]
    clock = times(1)
    with torch.no_grad():
        c, u, i = (weights.packed(NOISE, clock[:1], [p], totals=[t]) for p, t in zip(prompts, totals))
    return NOISE + (clock[1] - clock[0]) * (u + 1.5 * (i - u) + 2.5 * (c - i))


@pytest.mark.parametrize("rope", ["own", "longest"])
def test_each_branch_has_the_factors_of_its_length(between, rope):
    weights, branches = between
    own = [len(p) + 17 for p in (branches.conditional, branches.unconditional, branches.image_only)]
    wanted = {name: one_step(weights, branches, totals) for name, totals in (("own", own), ("longest", [max(own)] * 3))}
    made = Sampler(weights.packed, 1, 2.5, 1.5, rope)([branches], NOISE)
    assert (wanted["own"] - wanted["longest"]).abs().max() > 1e-2
    assert (made - wanted[rope]).abs().max() < 1e-4


def test_own_is_what_training_does(between):
    """A training batch names no totals: `Packed.forward` takes each sample's own length."""
    weights, branches = between
    alone = Sampler(weights.packed, 1, 0.0, 0.0)([branches], NOISE)  # the unconditional branch alone
    with torch.no_grad():
        straight = NOISE + weights.packed(NOISE, torch.zeros(1), [branches.unconditional])
    assert torch.allclose(alone, straight, atol=1e-5)


def test_what_was_used_is_recorded(between):
    weights, branches = between
    own, longest = (Sampler(weights.packed, 1, 2.5, 1.5, rope) for rope in ("own", "longest"))
    assert own.rope(branches, NOISE.shape) == "conditional long, unconditional short, image_only long"
    assert longest.rope(branches, NOISE.shape) == "long"
    short = weights.tokens.branches("red")
    assert own.rope(short, NOISE.shape) == longest.rope(short, NOISE.shape) == "short"


def test_branches_of_equal_factors_still_share_their_prefix(tiny_weights, monkeypatch):
    """Their lengths differ, their factors do not: what they have in common is computed once."""
    weights = tiny_weights()
    conditions = [weights.tokens.branches("make it red", [SOURCE], pauses) for pauses in (0, 3, 8)]
    ran, run = [], prefix.run
    monkeypatch.setattr(prefix, "run", lambda packed, level, prompts: ran.extend(level) or run(packed, level, prompts))
    Sampler(weights.packed, 1, 2.5, 1.5)(conditions, NOISE.expand(3, -1, -1, -1), [0, 0, 0])
    longest = max(len(c.conditional) for c in conditions)
    assert sum(stem.end - stem.begin for stem in ran) < 2 * longest + len(conditions[0].unconditional)
