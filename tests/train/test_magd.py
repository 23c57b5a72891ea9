"""The paper's equations against closed forms."""

import ast
import inspect
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from madi.model.packed import Packed
from madi.settings import Magd
from madi.train import magd
from madi.train.mask_tokens import MaskPool, ZeroToken, build


def draws(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def uniform(*shape, seed=0):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_the_equations_need_torch_alone():
    imports = [n for n in ast.walk(ast.parse(inspect.getsource(magd))) if isinstance(n, ast.Import | ast.ImportFrom)]
    names = {alias.name for n in imports if isinstance(n, ast.Import) for alias in n.names}
    assert names | {n.module for n in imports if isinstance(n, ast.ImportFrom)} == {"torch", "math", "__future__"}


def test_the_path_begins_in_noise_ends_in_the_image_and_moves_at_the_velocity():
    image, noise = draws(3, 4, 6, 6), draws(3, 4, 6, 6, seed=1)
    at = lambda t: magd.interpolate(image, noise, torch.full((3,), t))  # noqa: E731
    assert torch.equal(at(0.0), noise)
    assert torch.equal(at(1.0), image)
    assert torch.allclose((at(0.75) - at(0.25)) / 0.5, magd.velocity(image, noise), atol=1e-5)


@pytest.mark.parametrize(("level", "share"), [(0.7, 0.099), (0.5, 0.25)])
def test_the_share_of_masked_samples_under_logit_normal_times(level, share):
    n = 400_000
    masked = magd.applies(uniform(n), magd.times(draws(n, seed=1)), 0.5, level)
    logit = math.log((1 - level) / level)
    exact = 0.5 * 0.5 * (1 + math.erf(logit / math.sqrt(2)))  # p * P(t <= 1 - level), t = sigmoid(N(0,1))
    assert exact == pytest.approx(share, abs=5e-4)
    assert masked.double().mean().item() == pytest.approx(exact, abs=4 * math.sqrt(exact / n))


def test_masking_is_for_high_noise_alone():
    t = torch.linspace(0, 1, 11, dtype=torch.float64)
    assert magd.applies(torch.zeros(11), t, 0.5, 0.65).tolist() == [True] * 4 + [False] * 7
    assert not magd.applies(torch.full((11,), 0.5), t, 0.5, 0.0).any()


@settings(max_examples=60, deadline=None)
@given(rate=st.floats(0, 1), tokens=st.integers(1, 70), seed=st.integers(0, 999))
def test_every_sample_has_exactly_its_share_of_masked_tokens(rate, tokens, seed):
    mask = magd.mask(uniform(5, tokens, seed=seed), rate)
    assert mask.sum(1).tolist() == [math.floor(rate * tokens)] * 5


def test_every_token_is_masked_equally_often():
    often = magd.mask(uniform(20_000, 16), 0.25).double().mean(0)
    assert (often - 0.25).abs().max() < 5 * math.sqrt(0.25 * 0.75 / 20_000)


def test_masked_positions_carry_the_token_and_their_place_and_nothing_of_the_image(tiny_weights):
    packed: Packed = tiny_weights().packed
    mask, token = magd.mask(uniform(2, 16), 0.25), draws(2, 1, 32, seed=3)
    seen = [
        packed.noise_tokens(draws(2, 4, 8, 8, seed=s), lambda patches: magd.corrupt(patches, mask, token))
        for s in (1, 2)
    ]
    places = packed.stock.patch_embedding._cropped_pos_embed(8, 8).expand(2, -1, -1)
    expected = token + places
    for tokens in seen:
        assert torch.equal(tokens[mask], expected[mask])
    assert (seen[0][~mask] != seen[1][~mask]).all()


def test_what_is_under_the_mask_has_no_say_in_the_velocity(tiny_weights):
    weights = tiny_weights()
    mask = magd.mask(uniform(1, 16), 0.5)
    pixels = mask.view(1, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3)
    x, t, prompts = draws(1, 4, 8, 8), torch.tensor([0.2]), [weights.tokens.prompt("go")]
    corrupt = lambda patches: magd.corrupt(patches, mask, torch.zeros(1, 1, 32))  # noqa: E731
    with torch.no_grad():
        same = weights.packed(torch.where(pixels, draws(1, 4, 8, 8, seed=5), x), t, prompts, corrupt)
        assert torch.equal(weights.packed(x, t, prompts, corrupt), same)
        assert not torch.allclose(weights.packed(x, t, prompts), same)


def test_the_loss_is_over_all_tokens_sample_by_sample():
    predicted, target = draws(2, 4, 8, 8), draws(2, 4, 8, 8, seed=1)
    expected = [((predicted[i] - target[i]) ** 2).mean() for i in range(2)]
    assert torch.allclose(magd.squared_error(predicted, target), torch.stack(expected))
    assert torch.allclose(magd.squared_error(predicted, target, 3.0), 3 * torch.stack(expected))


def changed(share, by):
    """A source of zeros and a target that differs `by` in a `share` of its 64 elements."""
    target = torch.zeros(1, 1, 8, 8)
    target.view(-1)[: int(64 * share)] = by
    return target, torch.zeros(1, 1, 8, 8)


@pytest.mark.parametrize(
    ("share", "by", "expected"),
    [
        (1 / 64, 0.05, {0.0}),  # mean(d) = 0.0008: a copy
        (1 / 64, 0.5, {64.0, 1.0}),  # 1 / 0.0078 = 128, clipped
        (1 / 4, 1.0, {5.0, 1.0}),  # 1 / 0.25 = 4, raised
        (1 / 16, 1.0, {16.0, 1.0}),
        (1 / 2, 0.25, {1.0}),  # no element beyond 0.3
        (1.0, 1.0, {1.0}),  # everything changed
    ],
)
def test_edit_weights(share, by, expected):
    weight = magd.edit_weight(*changed(share, by))
    assert {round(w, 2) for w in weight.unique().tolist()} == expected
    if len(expected) == 2:
        assert (weight > 1).sum() == int(64 * share)


def test_edit_weights_look_at_each_sample_alone():
    pairs = [changed(1 / 64, 0.05), changed(1 / 16, 1.0), changed(1.0, 1.0)]
    together = magd.edit_weight(*(torch.cat(side) for side in zip(*pairs)))
    assert torch.equal(together, torch.cat([magd.edit_weight(*pair) for pair in pairs]))


def test_the_pool_has_the_papers_shape():
    pool = MaskPool(1024, 256, 32)
    shapes = {name: tuple(value.shape) for name, value in pool.state_dict().items()}
    assert shapes["pool.weight"] == (1024, 256)
    assert [shapes[f"mlp.{i}.weight"] for i in (0, 2)] == [(32, 256), (32, 32)]
    assert pool.pool.weight.std().item() == pytest.approx(1.0, rel=0.02)
    tokens = pool(torch.tensor([0.0, 0.5, 0.0009]))  # places 0, 512 and 0 of 1024
    assert torch.equal(tokens[0], tokens[2]) and not torch.equal(tokens[0], tokens[1])
    assert pool(torch.rand(3, 16)).shape == (3, 16, 32) and torch.isfinite(pool(torch.tensor([0.99999994]))).all()


def test_the_pool_starts_as_long_as_patch_embeddings_of_noise():
    torch.manual_seed(0)
    embedding = torch.nn.Conv2d(8, 160, 2, 2, bias=False)
    patches = embedding(torch.randn(64, 8, 16, 16)).flatten(2).norm(dim=1)
    settings = Magd(probability=0.5, noise_level=0.7, rate=0.25, token="pool")
    places = torch.rand(4096)
    lengths = [
        build(m, embedding, 0)(places).norm(dim=1)
        for m in (settings, settings.model_copy(update={"pool_init": "normal"}))
    ]
    assert lengths[0].mean().item() == pytest.approx(patches.mean().item(), rel=0.05)
    assert lengths[1].mean() < 0.2 * patches.mean()


def test_the_zero_token_is_zero_and_learns_nothing():
    token = ZeroToken(32)
    assert token(torch.rand(2, 4)).abs().sum() == 0
    assert list(token.parameters()) == []


def test_masking_first_interpolates_from_the_noise_to_the_token():
    token, noise = draws(2, 1, 8), draws(2, 5, 8, seed=1)
    assert torch.equal(magd.masked_then_noised(token, noise, torch.zeros(2)), noise)
    assert torch.equal(magd.masked_then_noised(token, noise, torch.ones(2)), token.expand(2, 5, 8))


def test_the_loss_may_be_over_masked_tokens_alone():
    predicted, target, weight = draws(2, 4, 8, 8), draws(2, 4, 8, 8, seed=1), uniform(2, 4, 8, 8, seed=2)
    mask = torch.stack([magd.mask(uniform(1, 16), 0.25)[0], torch.zeros(16, dtype=torch.bool)])
    pixels = mask.view(2, 1, 4, 4).repeat_interleave(2, 2).repeat_interleave(2, 3).expand(2, 4, 8, 8)
    made = magd.squared_error(predicted, target, magd.on_masked(weight, mask, 2))
    terms = weight * (predicted - target) ** 2
    assert made[0].item() == pytest.approx(terms[0][pixels[0]].mean().item(), rel=1e-5)
    assert made[1].item() == pytest.approx(terms[1].mean().item(), rel=1e-5)  # no masked token: as it was


def test_a_discarded_sample_does_not_count():
    weight = torch.ones(3, 1, 2, 2)
    weight[1] = 0
    assert magd.counts(weight).tolist() == [1, 0, 1]


def test_the_velocity_is_the_optimum_on_a_gaussian():
    """For one number x1 ~ N(m, s^2) the best prediction at (x_t, t) is known; least squares must find it."""
    m, s, t, n = 0.7, 0.5, 0.4, 400_000
    image, noise = m + s * draws(n, 1, 1, 1).double(), draws(n, 1, 1, 1, seed=1).double()
    seen = magd.interpolate(image, noise, torch.full((n,), t).double()).flatten()
    wanted = magd.velocity(image, noise).flatten()
    slope, offset = torch.linalg.lstsq(torch.stack([seen, torch.ones(n).double()], 1), wanted[:, None])[0].flatten()
    variance = t**2 * s**2 + (1 - t) ** 2
    exact = (t * s**2 - (1 - t)) / variance
    assert slope.item() == pytest.approx(exact, abs=0.01)
    assert offset.item() == pytest.approx(m - exact * t * m, abs=0.01)


def test_under_the_mask_the_best_velocity_is_the_image_expected_and_the_noise_adds_one():
    """Nothing of x_t is visible there: the optimum is E[x1], and the error left is var(x1) + 1 (the noise's own)."""
    m, s, n = 0.7, 0.5, 400_000
    image, noise = m + s * draws(n, 1, 1, 1).double(), draws(n, 1, 1, 1, seed=1).double()
    target = magd.velocity(image, noise)
    best = target.mean()
    assert best.item() == pytest.approx(m, abs=0.01)
    assert ((target - best) ** 2).mean().item() == pytest.approx(s**2 + 1, abs=0.01)


def test_the_share_of_changed_latents():
    target, source = changed(1 / 4, 0.5)
    assert magd.changed_share(target, source).tolist() == [0.25]
