"""Alone, left-padded in any order, packed and from the prefix cache: one velocity. And the cache holds things once."""

import copy

import padded
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from madi.model import prefix
from madi.model.attention import Segment
from madi.model.packed import segments_of
from madi.model.prompt import Branches, Prompt
from madi.model.sampler import Sampler

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-4}
SHAPES = [(2, 2), (4, 8), (8, 8)]


@pytest.fixture(scope="module")
def weights(tiny_weights):
    """By rotary limit: with 4096 all are short, with 112 some are long."""
    return {limit: tiny_weights(original_max_position_embeddings=limit) for limit in (4096, 112)}


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@st.composite
def prompts(draw, tokens):
    """Words of any length, sources of any shapes, plan steps, pauses."""
    sources = [draws(4, *shape, seed=k) for k, shape in enumerate(draw(st.lists(st.sampled_from(SHAPES), max_size=3)))]
    words = "a" * draw(st.integers(0, 40))
    return tokens.prompt(words, sources, ["b"] * draw(st.integers(0, 2)), draw(st.integers(0, 20)))


def close(found, wanted, dtype):
    return (found - wanted).abs().max() <= TOLERANCE[dtype] * wanted.abs().max()


@settings(max_examples=25)
@given(data=st.data(), dtype=st.sampled_from(list(TOLERANCE)), limit=st.sampled_from([4096, 112]))
@torch.no_grad()
def test_alone_left_padded_packed_and_from_the_prefix_are_one(weights, data, dtype, limit):
    tokens, packed = weights[limit].tokens, weights[limit].packed.to(dtype)
    batch = data.draw(st.lists(prompts(tokens), min_size=1, max_size=4))
    size = data.draw(st.sampled_from(SHAPES))
    x, t = draws(len(batch), 4, *size, seed=9).to(dtype), torch.linspace(0.1, 0.9, len(batch), dtype=dtype)
    totals = [len(prompt) + 1 + size[0] * size[1] // 4 for prompt in batch]

    alone = torch.cat([packed(x[i, None], t[i, None], [prompt]) for i, prompt in enumerate(batch)])
    assert close(packed(x, t, batch), alone, dtype)
    requests = data.draw(st.lists(st.integers(0, 1), min_size=len(batch), max_size=len(batch)))
    kept = prefix.prefill(packed, batch, requests, totals)
    assert close(prefix.Steps(packed, kept, totals, x.shape[1:])(x, t), alone, dtype)
    order = data.draw(st.permutations(range(len(batch))))
    stock = padded.mended(copy.deepcopy(packed.stock))
    assert close(padded.velocity(stock, x[order], t[order], [batch[i] for i in order]), alone[order], dtype)


@torch.no_grad()
def test_a_shift_moves_the_noise_by_so_many_positions_and_nothing_else(weights):
    """Against one stream whose rotary factors are put together by hand."""
    tokens, packed = weights[4096].tokens, weights[4096].packed.to(torch.float64)
    prompt, x, t = (
        tokens.prompt("abc", [draws(4, 4, 8)]),
        draws(1, 4, 4, 4, seed=3).double(),
        torch.tensor([0.3]).double(),
    )
    total = [len(prompt) + 1 + 4]
    kept = prefix.prefill(packed, [prompt], [0], total)
    tail, clock = packed.tail(x, t)
    for shift in (0, 7):
        found = prefix.Steps(packed, kept, total, x.shape[1:], [shift])(x, t)
        [segment] = segments_of([prompt], tail.shape[1] - 1, total)
        far = packed.rotary([Segment(200, [], total[0])], "cpu")
        places = torch.cat([torch.arange(len(prompt)), torch.arange(tail.shape[1]) + len(prompt) + shift])
        stream = packed.stream([prompt], tail)
        out = packed.trunk(stream, [segment], tuple(part[places] for part in far))[None, len(prompt) + 1 :]
        assert close(found, packed.velocity(out, clock, x.shape), torch.float64)
        assert close(found, packed(x, t, [prompt]), torch.float64) == (shift == 0)


def test_stock_is_wrong_where_its_first_row_is_padded(weights):
    """What the mended reference is for: the fault is there, and it is large."""
    weights = weights[4096]
    batch = [weights.tokens.prompt("a"), weights.tokens.prompt("a", [draws(4, 8, 8)])]
    x, t = draws(2, 4, 8, 8), torch.tensor([0.5, 0.5])
    with torch.no_grad():
        packed = weights.packed.float()
        stock = copy.deepcopy(packed.stock)
        alone = packed(x, t, batch)
        wrong = padded.velocity(stock, x, t, batch)[1] - alone[1]
        assert wrong.abs().max() > 0.05 * alone.abs().max()
        assert close(padded.velocity(padded.mended(stock), x, t, batch), alone, torch.float32)


def test_a_sweep_holds_what_it_has_in_common_once(weights):
    tokens, source = weights[4096].tokens, draws(4, 8, 8)
    branches = [tokens.branches("make it red", [source], pauses) for pauses in (0, 8, 16, 32)]
    given = [prompt for branch in branches for prompt in (branch.conditional, branch.image_only)]
    grown = prefix.stems(given, [0] * len(given), [99] * len(given))
    longest = max(len(prompt) for prompt in given)
    held = sum(stem.end - stem.begin for stem in grown)
    closing = len(branches[0].image_only) - branches[0].image_only.slots[0][1] - 1
    assert held <= longest + 4 * closing + 1  # all pauses lie in a row; only what closes the prompt is run again
    assert held < sum(map(len, given)) / 4


def test_equal_prompts_of_a_request_are_one_chunk_and_others_are_not(weights):
    weights = weights[4096]
    packed, source = weights.packed.float(), draws(4, 4, 8)
    same = [weights.tokens.prompt("", [source]) for _ in range(2)]
    one, two, other = prefix.prefill(packed, [*same, same[0]], [0, 0, 1], [50, 50, 50])
    assert one is two and other is not one
    assert all(torch.allclose(a, b, atol=1e-5) for k in range(2) for a, b in zip(one.parts(k), other.parts(k)))


def test_a_part_may_not_cut_an_image():
    prompt = Prompt([1, 0, 0, 0, 0, 2], [(1, 5)], [draws(4, 4, 4)])
    assert prompt.part(1, 6).slots == [(0, 4)] and prompt.part(5, 6).images == []
    with pytest.raises(ValueError, match="cut the image at 1-5"):
        prefix.part(prefix.prompt_runs(6, prompt.slots), 0, 3)


def test_the_unconditional_prompt_is_run_once_for_each_choice_of_factors(weights, monkeypatch):
    weights = weights[112]
    sampler, noise = Sampler(weights.packed.float(), 3, 2.5, 1.5), draws(1, 4, 4, 4)
    ran, prefill = [], prefix.prefill
    monkeypatch.setattr(prefix, "prefill", lambda *given: ran.append(len(given[1])) or prefill(*given))
    for _ in range(2):
        sampler([weights.tokens.branches("a", [draws(4, 4, 4)])], noise)
    assert ran == [2, 1, 2]


def test_what_a_sampler_holds_goes_with_the_weights_that_made_it(tiny_weights):
    weights = tiny_weights()
    noise, asked = draws(1, 4, 4, 4), [weights.tokens.branches("a", [draws(4, 4, 4)])]
    kept = Sampler(weights.packed, 2, 2.5, 1.5)
    kept(asked, noise)
    with torch.no_grad():
        weights.packed.stock.embed_tokens.weight.mul_(2)
    assert torch.equal(kept(asked, noise), Sampler(weights.packed, 2, 2.5, 1.5)(asked, noise))


def test_an_unconditional_prompt_with_an_image_is_the_requests_own(tiny_weights):
    weights = tiny_weights()
    noise = draws(2, 4, 4, 4)
    asked = [
        Branches(weights.tokens.prompt("a", [image]), weights.tokens.prompt("", [image]))
        for image in draws(2, 4, 4, 4, seed=1)
    ]
    together = Sampler(weights.packed, 2, 2.5, 1.5)(asked, noise)
    alone = [Sampler(weights.packed, 2, 2.5, 1.5)([a], n[None]) for a, n in zip(asked, noise)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-4)


def test_prompts_of_a_request_may_share_nothing(weights):
    weights = weights[4096]
    packed = weights.packed.float()
    one, two = prefix.prefill(packed, [Prompt([1, 2]), Prompt([3, 4])], [0, 0], [9, 9])
    alone = prefix.prefill(packed, [Prompt([3, 4])], [0], [9])[0]
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(two.parts(1), alone.parts(1)))


def test_a_clusters_limit_counts_where_it_is_lower(tmp_path, monkeypatch):
    monkeypatch.setattr(prefix, "CGROUP", tmp_path)
    free = prefix.free_bytes(torch.device("cpu"))
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert prefix.free_bytes(torch.device("cpu")) > free / 2
    (tmp_path / "memory.max").write_text("5000\n")
    assert prefix.free_bytes(torch.device("cpu")) == 4000


def test_requests_go_together_as_far_as_memory_allows(weights, monkeypatch):
    weights = weights[4096]
    sampler, noise = Sampler(weights.packed.float(), 2, 2.5, 1.5), draws(5, 4, 4, 4)
    given = [weights.tokens.branches("a" * k, [draws(4, 4, 4, seed=k)]) for k in range(5)]
    assert sampler.batches(given, range(5), noise.shape) == [slice(0, 5)]
    together = sampler(given, noise)
    monkeypatch.setattr(prefix, "free_bytes", lambda device: 250_000)
    parts = sampler.batches(given, range(5), noise.shape)
    assert len(parts) > 1 and [i for part in parts for i in range(part.start, part.stop)] == list(range(5))
    assert torch.allclose(sampler(given, noise), together, atol=1e-5)
    monkeypatch.setattr(prefix, "free_bytes", lambda device: 0)
    assert len(sampler.batches(given, range(5), noise.shape)) == 5


def test_bytes_per_token_at_omnigens_size():
    class Packed:
        class stock:
            dtype = torch.bfloat16

            class config:
                num_layers, num_key_value_heads, num_attention_heads, hidden_size = 32, 32, 32, 3072

    assert prefix.bytes_per_token(Packed) == 393_216
