"""Sampling: stock's times, noise by key alone, samples that do not know of each other."""

import pytest
import torch

from madi.model.sampler import Sampler, noise_for, times


def test_times_run_from_noise_to_image():
    assert torch.allclose(times(4), torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))


def test_noise_depends_on_seed_and_key_alone():
    one = noise_for(0, "emu_edit/a", (4, 8, 8))
    torch.manual_seed(5)
    assert torch.equal(one, noise_for(0, "emu_edit/a", (4, 8, 8)))
    assert not torch.equal(one, noise_for(1, "emu_edit/a", (4, 8, 8)))
    assert not torch.equal(one, noise_for(0, "emu_edit/b", (4, 8, 8)))
    assert one.dtype == torch.float32 and abs(one.mean()) < 0.2 and abs(one.std() - 1) < 0.2


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-11), (torch.float32, 2e-4)])
def test_a_sample_alone_equals_any_batch(tiny_weights, dtype, tolerance):
    weights = tiny_weights(original_max_position_embeddings=150)  # one request below the rotary limit, others across
    packed, tokens = weights.packed.to(dtype), weights.tokens
    source = noise_for(0, "source", (4, 8, 8))
    given = [tokens.branches("red"), tokens.branches("make it blue", [source], 40), tokens.branches("x", [source] * 2)]
    noise = torch.stack([noise_for(0, str(i), (4, 8, 8)) for i in range(3)]).to(dtype)
    alone = [Sampler(packed, 3, 2.5, 1.5)([given[i]], noise[i, None])[0] for i in range(3)]
    for order in ([0, 1, 2], [2, 0], [1, 2, 0]):
        batch = Sampler(packed, 3, 2.5, 1.5)([given[i] for i in order], noise[order])
        assert (batch - torch.stack([alone[i] for i in order])).abs().max() < tolerance


def test_guidance_of_one_and_one_is_the_conditional_branch(tiny_weights):
    weights = tiny_weights()
    noise, branches = noise_for(0, "a", (1, 4, 8, 8)), weights.tokens.branches("red", [noise_for(1, "b", (4, 8, 8))])
    made = Sampler(weights.packed, 1, 1.0, 1.0)([branches], noise)
    with torch.no_grad():
        straight = noise + weights.packed(noise, torch.zeros(1), [branches.conditional])
    assert torch.allclose(made, straight, atol=1e-5)


def test_a_sweep_that_crosses_the_rotary_limit_warns_once_and_keeps_its_factors(tiny_weights, capsys):
    weights = tiny_weights()
    source, noise = noise_for(0, "source", (4, 8, 8)), noise_for(0, "a", (1, 4, 8, 8))
    plain = weights.tokens.branches("red", [source])
    length = max(len(plain.conditional), len(plain.unconditional)) + 17
    weights = tiny_weights(original_max_position_embeddings=length)
    sampler = Sampler(weights.packed, 1, 2.5, 1.5, rope="longest")
    far = weights.tokens.branches("red", [source], length)
    assert sampler.rope(plain, noise.shape) == sampler.rope(far, noise.shape) == "short"
    made = sampler([plain, far, far], noise.expand(3, -1, -1, -1))
    sampler([far], noise)
    assert capsys.readouterr().err.count(f"past {length}") == 1
    longer = weights.tokens.branches("red " * length, [source])
    assert sampler.rope(longer, noise.shape) == "long"
    short = {"short_factor": [1.0] * 8, "long_factor": [1.0] * 8}  # what is sampled, not only what is said, is short
    alike = tiny_weights(original_max_position_embeddings=length, rope_scaling=short)
    assert torch.allclose(made[1:2], Sampler(alike.packed, 1, 2.5, 1.5)([far], noise), atol=1e-4)
