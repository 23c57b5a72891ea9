"""A sample's velocity is its own: alone, in any batch and order, packed; and it is the stock model's."""

import itertools

import padded
import pytest
import torch

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def prompts(tokens):
    """Shortest first (stock's batches go wrong there), with no, one and two sources of unequal size, with pauses."""
    square, wide = draws(4, 8, 8, seed=8), draws(4, 4, 12, seed=9)
    return [
        tokens.prompt("go"),
        tokens.prompt("make the circle red", [square]),
        tokens.prompt("put one in the other", [square, wide], ["look.", "act."], 3),
        tokens.negative(),
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [(8, 8), (4, 12)])
@torch.no_grad()
def test_alone_equals_any_batch_in_any_order(tiny_weights, dtype, size):
    weights = tiny_weights()
    packed, given = weights.packed.to(dtype), prompts(weights.tokens)
    x, t = draws(4, 4, *size).to(dtype), torch.tensor([0.0, 0.3, 0.5, 0.9], dtype=dtype)
    alone = torch.cat([packed(x[i, None], t[i, None], [given[i]]) for i in range(4)])
    for order in [*itertools.permutations(range(4))][::5] + [(2, 0), (3, 3, 1)]:
        order = list(order)
        batch = packed(x[order], t[order], [given[i] for i in order])
        assert (batch - alone[order]).abs().max() < TOLERANCE[dtype]
    assert min((a - b).abs().max() for a, b in itertools.combinations(alone, 2)) > 0.1


@torch.no_grad()
def test_a_batch_across_the_rotary_limit_equals_alone(tiny_weights):
    weights = tiny_weights(original_max_position_embeddings=150)
    packed, given = weights.packed.double(), prompts(weights.tokens)
    lengths = [len(p) + 17 for p in given]
    assert min(lengths) < 150 < max(lengths)
    x, t = draws(4, 4, 8, 8).double(), torch.full((4,), 0.5, dtype=torch.float64)
    alone = torch.cat([packed(x[i, None], t[i, None], [given[i]]) for i in range(4)])
    assert (packed(x, t, given) - alone).abs().max() < 1e-12
    told = packed(x[:1], t[:1], given[:1], totals=[max(lengths)])
    assert (told - alone[:1]).abs().max() > 1e-3


@pytest.mark.parametrize("limit", [4096, 40])
@torch.no_grad()
def test_the_velocity_is_the_stock_models(tiny_weights, limit):
    weights = tiny_weights(original_max_position_embeddings=limit)
    packed = weights.packed
    for i, prompt in enumerate(prompts(weights.tokens)):
        x, t = draws(1, 4, 8, 8, seed=i), torch.tensor([0.1 + 0.2 * i])
        assert (packed(x, t, [prompt]) - padded.velocity(packed.stock, x, t, [prompt])).abs().max() < 1e-5


def test_gradients_are_the_stock_models(tiny_weights):
    weights = tiny_weights()
    packed, given = weights.packed, prompts(weights.tokens)[1:3]
    x, t = draws(2, 4, 8, 8), torch.tensor([0.3, 0.6])
    wanted = sum(padded.velocity(packed.stock, x[i, None], t[i, None], [given[i]]).square().sum() for i in range(2))
    wanted = torch.autograd.grad(wanted, list(packed.stock.parameters()))
    found = torch.autograd.grad(packed(x, t, given).square().sum(), list(packed.stock.parameters()))
    for a, b in zip(wanted, found):
        assert (a - b).norm() <= 1e-4 * a.norm() + 1e-6


def test_gradient_checkpointing_changes_nothing(tiny_weights):
    weights = tiny_weights()
    given, x, t = prompts(weights.tokens), draws(4, 4, 8, 8), torch.full((4,), 0.5)
    gradients = []
    for switch in (
        weights.packed.stock.disable_gradient_checkpointing,
        weights.packed.stock.enable_gradient_checkpointing,
    ):
        switch()
        weights.packed.zero_grad()
        weights.packed(x, t, given).square().mean().backward()
        gradients.append([p.grad.clone() for p in weights.packed.parameters()])
    assert all(torch.allclose(a, b, atol=1e-7) for a, b in zip(*gradients))
