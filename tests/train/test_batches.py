"""Guidance drops, conditions, weights and moments of the training stream."""

from collections import Counter

import pytest
import torch

from madi.model.prompt import NEGATIVE
from madi.settings import Drop, Run
from madi.train import magd
from madi.train.batches import Batches, drop, together
from madi.train.examples import BadLatent, Example


def moments(seed, spread=0.0):
    mean = torch.randn(4, 4, 4, generator=torch.Generator().manual_seed(seed))
    return torch.stack([mean, torch.full_like(mean, spread)])


STORE = {name: moments(number, 0.5) for number, name in enumerate("abcdefghijk")}
PAIRS = zip("ace", "bdf", "ij_")
EDITS = [
    Example(f"e{n}", f"paint {n}", ("look.", "act."), (source,), target, None if masked == "_" else masked)
    for n, (source, target, masked) in enumerate(PAIRS)
]
EXAMPLES = [*EDITS, Example("t0", "a circle", (), (), "g"), Example("t1", "a star", (), (), "h")]


def batches(tokens, store=STORE, **changes):
    settings = {"seed": 0, "steps": 6, "batch": 5, "learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.1}
    settings |= {"gradient_clip": 1.0, "save_every": 2, "expressive": False, "magd": None}
    return Batches(EXAMPLES, store, tokens, Run(**settings | {"drop": {"all": 0, "text": 0}} | changes))


def rows(*given, step=0, **changes):
    made, bad = batches(*given, **changes)[step]
    assert not bad
    return {row.id: row for row in made}


@pytest.fixture
def tokens(tiny_weights):
    return tiny_weights().tokens


def test_shares_of_the_drops():
    draws = torch.rand(100_000, 2, generator=torch.Generator().manual_seed(0)).tolist()
    counts = Counter(drop(Drop(all=0.10, text=0.05), *pair) for pair in draws)
    shares = {key: counts[key] / len(draws) for key in counts}
    assert shares == pytest.approx({None: 0.85, "<cfg>": 0.05, NEGATIVE: 0.05, "text": 0.05}, abs=0.004)


def test_all_dropped_is_an_unconditional_prompt_without_images_and_counts_plainly(tokens):
    made, _ = batches(tokens, drop={"all": 1, "text": 0}, batch=20, masked_source={"place": "added", "keep": 1})[0]
    batch = together(made)
    assert {tuple(p.ids) for p in batch.prompts} == {tuple(tokens.negative().ids), tuple(tokens.dropped().ids)}
    assert not any(p.images for p in batch.prompts)
    assert (batch.weight == 1).all()
    assert batch.edit.sum() == 12


def test_text_dropped_keeps_the_image_and_leaves_text_to_image_alone(tokens):
    whole, cut = rows(tokens), rows(tokens, drop={"all": 0, "text": 1})
    for key, row in whole.items():
        wanted = tokens.prompt("", row.prompt.images).ids if row.edit else row.prompt.ids
        assert cut[key].prompt.ids == wanted and torch.equal(row.weight, cut[key].weight)


def test_plans_are_for_expressive_runs_each_step_closed_by_one_pause(tokens):
    for expressive, pauses in ((False, 0), (True, 2)):
        made = rows(tokens, expressive=expressive)
        assert all(row.prompt.ids.count(tokens.pause_id) == pauses * row.edit for row in made.values())
    row = made["e0"]
    assert row.prompt.ids == tokens.prompt("paint 0", row.prompt.images, ("look.", "act.")).ids


def test_the_masked_source_comes_beside_or_in_place_of_the_source_where_there_is_one(tokens):
    images = {}
    for place in ("added", "replacing"):
        made = rows(tokens, masked_source={"place": place, "keep": 1})
        images[place] = {key: row.prompt.images for key, row in made.items()}
        assert torch.equal(made["e0"].weight, rows(tokens)["e0"].weight)  # against the source, whatever is shown
    first, masked = STORE["a"][0], STORE["i"][0]
    assert [torch.equal(a, b) for a, b in zip(images["added"]["e0"], [first, masked], strict=True)] == [True, True]
    assert [torch.equal(a, b) for a, b in zip(images["replacing"]["e0"], [masked], strict=True)] == [True]
    assert len(images["added"]["e2"]) == 1 and not images["added"]["t0"]  # no region, no source


def test_the_masked_source_is_dropped_half_the_time(tokens):
    made, _ = batches(tokens, masked_source={"place": "added", "keep": 0.5}, batch=1500)[0]
    shown = [len(row.prompt.images) == 2 for row in made if row.id in ("e0", "e1")]
    assert sum(shown) / len(shown) == pytest.approx(0.5, abs=0.07) and len(shown) == 600


def test_a_prompt_may_hold_several_sources(tokens):
    two = Example("m", "join them", (), ("a", "c"), "b")
    row = batches(tokens).row(two, 0)
    assert len(row.prompt.images) == 2 and row.length == len(row.prompt) + 1 + 4
    assert torch.equal(row.weight, magd.edit_weight(STORE["b"][:1], STORE["a"][:1])[0])


def test_batches_of_any_size_are_one_stream(tokens):
    wide, narrow = batches(tokens, batch=4)[1][0], [row for step in (2, 3) for row in batches(tokens, batch=2)[step][0]]
    assert [row.id for row in wide] == [row.id for row in narrow]
    assert all(torch.equal(a.noise, b.noise) and torch.equal(a.t, b.t) for a, b in zip(wide, narrow))


def test_a_step_is_the_same_whenever_it_is_asked_for(tokens):
    one, other = batches(tokens), batches(tokens)
    first, _, again = (together(one[step][0]) for step in (0, 7, 0))
    assert torch.equal(first.noise, again.noise)
    assert torch.equal(together(one[7][0]).t, together(other[7][0]).t)
    assert not torch.equal(first.t, together(batches(tokens, seed=1)[0][0]).t)


def test_edits_are_weighted_against_their_source(tokens):
    for row in rows(tokens).values():
        image = row.image[None]
        wanted = magd.edit_weight(image, row.prompt.images[0][None])[0] if row.edit else torch.ones(4, 4, 4)
        assert torch.equal(row.weight, wanted)


def test_means_are_means_and_samples_spread_by_the_posterior_anew_in_each_pass(tokens):
    assert torch.equal(rows(tokens)["t0"].image, STORE["g"][0])
    drawn = [rows(tokens, posterior="sample", step=step)["t0"].image - STORE["g"][0] for step in range(60)]
    assert torch.stack(drawn).std().item() == pytest.approx(0.5, rel=0.05)
    assert torch.equal(drawn[3], rows(tokens, posterior="sample", step=3)["t0"].image - STORE["g"][0])


def test_the_loss_on_masked_tokens_is_a_switch(tokens):
    how = {"probability": 1, "noise_level": 0, "rate": 0.25, "token": "zero", "loss": "masked"}
    for row in rows(tokens, magd=how).values():
        pixels = row.mask.view(1, 2, 2).repeat_interleave(2, 1).repeat_interleave(2, 2).expand(4, 4, 4)
        assert (row.weight[pixels] > 0).all() and (row.weight[~pixels] == 0).all()


def test_a_pool_token_for_each_masked_token_is_a_switch(tokens):
    how = {"probability": 1, "noise_level": 0, "rate": 0.25, "token": "pool"}
    one, each = rows(tokens, magd=how)["e0"], rows(tokens, magd=how | {"draw": "token"})["e0"]
    assert one.place.shape == (1,) and each.place.shape == (4,) and len(set(each.place.tolist())) == 4
    assert torch.equal(one.mask, each.mask)


def test_a_sample_with_a_broken_latent_is_left_out_and_told(tokens):
    class Broken(dict):
        def __getitem__(self, name):
            if name == "c":
                raise BadLatent("tensor c is not finite", "shard")
            return super().__getitem__(name)

    made, bad = batches(tokens, Broken(STORE))[0]
    assert (
        "e1" not in [row.id for row in made]
        and len(made) == 4
        and [str(one) for one in bad] == ["shard: tensor c is not finite"]
    )
