"""Losses and gradients of a batch are the same however it is divided; what a run's switches do to them."""

import math

import pytest
import torch
from worlds import MAGD, draws, settings

from madi.train import loop, magd
from madi.train.batches import Row, together
from madi.train.team import Team
from madi.train.trainee import Trainee, learning_rate, optimizer_of

NUMBERS = ("image", "noise", "weight", "t")


def rows(weights, count=7, masked=(1, 4), discarded=(2,)):
    """Edits and text to image by turns, of several lengths; some masked, one discarded."""
    out = []
    for number in range(count):
        image = draws(4, 4, 4, seed=number).double()
        source = [draws(4, 4, 4, seed=100 + number)] * (number % 2)
        weight = magd.edit_weight(image[None], source[0][None].double())[0] if source else torch.ones_like(image)
        weight = torch.zeros_like(image) if number in discarded else weight
        mask = torch.arange(4) < 1 if number in masked else torch.zeros(4, dtype=torch.bool)
        prompt = weights.tokens.prompt("paint " * (number + 1), source)
        t, place = torch.tensor(0.1 + 0.1 * number).double(), torch.tensor([number / 10])
        noise = draws(4, 4, 4, seed=200 + number).double()
        out.append(Row(f"s{number}", image, noise, weight, t, prompt, bool(source), mask, place, 0.5))
    return out


def stepped(tiny_weights, tmp_path, kind=torch.float64, **changes):
    """One step; the row of its log and all gradients."""
    weights, run = tiny_weights(), settings(**{"magd": MAGD, "steps": 1, "warmup_steps": 0} | changes)
    trainee = Trainee(weights.packed, run)
    torch.nn.Module.to(trainee, kind)
    training = loop.Training(trainee, None, run, Team("cpu", False))
    some = [Row(**vars(row) | {n: getattr(row, n).to(kind) for n in NUMBERS}) for row in rows(weights)]
    row = loop.step(training, some, 0, 0, tmp_path)
    return row, torch.cat([p.grad.flatten() for p in trainee.parameters() if p.grad is not None])


@pytest.mark.parametrize("most", [1, 120, 170, 400])
def test_accumulated_gradients_equal_the_large_batchs(tiny_weights, tmp_path, most):
    """Micro-batches of one sample, ragged ones, two large ones; a discarded sample weighs nothing in any of them."""
    whole, expected = stepped(tiny_weights, tmp_path)
    row, gradient = stepped(tiny_weights, tmp_path, micro_tokens=most)
    assert (gradient - expected).abs().max() <= 1e-10 * expected.abs().max()
    assert torch.allclose(row, whole, rtol=1e-10, equal_nan=True)


def test_a_discarded_sample_does_not_thin_the_loss(tiny_weights, tmp_path):
    weights = tiny_weights()
    trainee = Trainee(weights.packed, settings(magd=MAGD)).double()
    some = rows(weights)
    with torch.no_grad():
        loss, _ = trainee(together(some))
        others, _ = trainee(together([row for number, row in enumerate(some) if number != 2]))
    row, _ = stepped(tiny_weights, tmp_path)
    assert loss[2] == 0 and row[1].item() == pytest.approx(others.mean().item(), rel=1e-10)


def test_parts_of_the_loss_are_told_apart(tiny_weights, tmp_path):
    weights = tiny_weights()
    with torch.no_grad():
        _, plain = Trainee(weights.packed, settings(magd=MAGD)).double()(together(rows(weights)))
    row, _ = stepped(tiny_weights, tmp_path)
    told = dict(zip(loop.COLUMNS, row.tolist()))
    numbers = {"masked": [1, 4], "unmasked": [0, 2, 3, 5, 6], "edit": [1, 3, 5], "t2i": [0, 2, 4, 6]}
    for part, some in numbers.items():
        assert told[part] == pytest.approx(plain[some].mean().item(), rel=1e-10)
    assert told["masked_share"] == pytest.approx(2 / 7) and told["changed"] == 0.5


def test_recomputed_blocks_give_the_same_gradients(tiny_weights, tmp_path):
    _, expected = stepped(tiny_weights, tmp_path)
    _, gradient = stepped(tiny_weights, tmp_path, checkpoint_blocks=True)
    assert torch.allclose(gradient, expected, rtol=1e-12)


@pytest.mark.slow
def test_compiled_blocks_give_the_same_gradients(tiny_weights, tmp_path):
    _, expected = stepped(tiny_weights, tmp_path, torch.float32)
    _, gradient = stepped(tiny_weights, tmp_path, torch.float32, compile_blocks=True)
    assert (gradient - expected).abs().max() < 1e-5 * expected.abs().max()


def test_gradients_are_clipped_and_their_norm_logged(tiny_weights, tmp_path):
    row, gradient = stepped(tiny_weights, tmp_path, gradient_clip=0.01)
    assert gradient.norm().item() == pytest.approx(0.01, rel=1e-4)
    assert dict(zip(loop.COLUMNS, row.tolist()))["gradient"] > 0.01


READINGS = [{}, {"order": "mask_first"}, {"token": "zero"}, {"token": "zero_latent"}, {"draw": "token"}]


def test_every_reading_of_the_mask_is_another_training(tiny_weights):
    weights, losses = tiny_weights(), []
    for reading in READINGS:
        trainee = Trainee(weights.packed, settings(magd=MAGD | reading)).double()
        for parameter in trainee.mask_tokens.parameters():  # as if learnt
            torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
        some = rows(weights)
        if reading.get("draw") == "token":
            some = [Row(**vars(row) | {"place": torch.tensor([0.9, 0.4, 0.6, 0.1])}) for row in some]
        with torch.no_grad():
            losses.append(trainee(together(some))[0])
    for number, loss in enumerate(losses):
        assert torch.equal(loss[0], losses[0][0])  # unmasked
        assert all(loss[1] != other[1] for other in losses[number + 1 :])


def test_zero_latents_are_masked_as_a_picture_of_zeros_would_be_seen(tiny_weights):
    weights = tiny_weights()
    trainee = Trainee(weights.packed, settings(magd=MAGD | {"token": "zero_latent"})).double()
    batch = together(rows(weights, 2))
    seen = weights.packed.stock.patch_embedding._patch_embeddings(torch.zeros(1, 4, 4, 4).double(), False)
    assert torch.allclose(trainee.shown(batch).expand(2, 4, 32), seen.expand(2, 4, 32))


def test_masking_first_leaves_the_noise_to_see(tiny_weights):
    """A masked token in an image that is nothing but zeros there is what noising a zeroed image gives."""
    weights = tiny_weights()
    reading = MAGD | {"token": "zero_latent", "order": "mask_first"}
    trainee = Trainee(weights.packed, settings(magd=reading)).double()
    batch = together(rows(weights, 2))
    noised = magd.interpolate(torch.zeros_like(batch.image), batch.noise, batch.t)
    seen = weights.packed.stock.patch_embedding._patch_embeddings(noised, False)
    assert torch.allclose(trainee.shown(batch), seen)


def test_a_batch_without_images_leaves_no_weight_without_a_gradient(tiny_weights, tmp_path):
    weights = tiny_weights()
    trainee = Trainee(weights.packed, settings(magd=MAGD)).double()
    trainee(together(rows(weights)[::2]))[0].sum().backward()
    assert all(parameter.grad is not None for parameter in trainee.parameters())


def test_the_rate_warms_up_and_falls_to_nothing():
    run = settings(steps=4000, warmup_steps=800, learning_rate=1e-4)
    rates = [learning_rate(step, run) for step in range(4000)]
    assert rates[0] == pytest.approx(1e-4 / 800) and rates[799] == pytest.approx(1e-4) == max(rates)
    assert rates[799 + 1600] == pytest.approx(0.5e-4) and rates[-1] == pytest.approx(0, abs=1e-12)
    assert all(a <= b for a, b in zip(rates[:800], rates[1:800])) and all(
        a >= b for a, b in zip(rates[800:], rates[801:])
    )


def test_embeddings_pool_and_norms_do_not_decay(tiny_weights):
    trainee = Trainee(tiny_weights().packed, settings(magd=MAGD))
    optimizer = optimizer_of(trainee, settings())
    free = {id(p) for group in optimizer.param_groups if not group["weight_decay"] for p in group["params"]}
    names = {name for name, p in trainee.named_parameters() if id(p) in free}
    assert {"packed.stock.embed_tokens.weight", "mask_tokens.pool.weight", "packed.stock.norm.weight"} <= names
    assert "packed.stock.proj_out.weight" not in names


def test_the_mask_tokens_may_have_a_learning_rate_of_their_own(tiny_weights, tmp_path):
    """With a rate that moves nothing else, they alone move; their length stands in the log."""
    run = settings(
        magd=MAGD | {"pool_learning_rate": 1e-2}, learning_rate=1e-9, steps=9, warmup_steps=0, weight_decay=0.0
    )
    weights = tiny_weights()
    training = loop.Training(Trainee(weights.packed, run).double(), None, run, Team("cpu", False))
    before = {name: p.detach().clone() for name, p in training.trainee.named_parameters()}
    row = dict(zip(loop.COLUMNS, loop.step(training, rows(weights), 0, 0, tmp_path).tolist()))
    moved = {n: (p.detach() - before[n]).abs().max().item() for n, p in training.trainee.named_parameters()}
    assert max(v for n, v in moved.items() if "mask_tokens" not in n) < 1e-8
    assert all(v > 1e-5 for n, v in moved.items() if n in ("mask_tokens.mlp.0.weight", "mask_tokens.mlp.2.weight"))
    embedding = weights.packed.stock.patch_embedding.output_image_proj.weight
    assert row["mask_norm"] == pytest.approx(embedding.norm().item(), rel=0.3)
    plain, _ = stepped(tiny_weights, tmp_path, magd=None)
    assert math.isnan(dict(zip(loop.COLUMNS, plain.tolist()))["mask_norm"])


def test_masters_are_float32_whatever_the_base_is(tiny_weights):
    packed = tiny_weights().packed
    torch.nn.Module.to(packed.stock, torch.bfloat16)
    assert {p.dtype for p in Trainee(packed, settings()).parameters()} == {torch.float32}


def test_adapters_alone_are_trained(tiny_weights):
    trainee = Trainee(tiny_weights().packed, settings(lora={"rank": 2, "alpha": 4}, magd=MAGD))
    trained = {
        name.split(".")[0] if "lora" not in name else "lora"
        for name, p in trainee.named_parameters()
        if p.requires_grad
    }
    assert trained == {"lora", "mask_tokens"}


def test_the_loss_is_refused_where_it_is_not_finite_and_the_weights_stay(tiny_weights, tmp_path):
    import json

    from madi.errors import MadiError

    weights, run = tiny_weights(), settings(steps=1, warmup_steps=0)
    trainee = Trainee(weights.packed, run).double()
    training = loop.Training(trainee, None, run, Team("cpu", False))
    before = [p.clone() for p in trainee.parameters()]
    bad = [Row(**vars(row) | {"noise": row.noise * math.inf}) if row.id == "s3" else row for row in rows(weights)]
    with pytest.raises(MadiError, match="not-finite-step-0000001.json: loss nan .*samples are in that file"):
        loop.step(training, bad, 0, 0, tmp_path)
    told = json.loads((tmp_path / "not-finite-step-0000001.json").read_text())
    assert [one["sample"] for one in told["batch"]] == [f"s{n}" for n in range(7)]
    assert all(torch.equal(a, b) for a, b in zip(before, trainee.parameters()))
