"""Guidance drops, order and weights of the training stream."""

from collections import Counter

import pytest
import torch

from madi.model.prompt import NEGATIVE
from madi.settings import Drop, Run
from madi.train import magd
from madi.train.batches import Batches, drop, order
from madi.train.examples import Example

STORE = {name: torch.randn(4, 4, 4, generator=torch.Generator().manual_seed(i)) for i, name in enumerate("abcdefgh")}
EDITS = [Example(f"e{i}", f"paint {i}", ("look.", "act."), (a,), b) for i, (a, b) in enumerate(["ab", "cd", "ef"])]
EXAMPLES = [*EDITS, Example("t0", "a circle", (), (), "g"), Example("t1", "a star", (), (), "h")]


def batches(tokens, **changes):
    settings = {"seed": 0, "steps": 6, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.1}
    settings |= {"gradient_clip": 1.0, "save_every": 2, "expressive": False, "magd": None}
    return Batches(EXAMPLES, STORE, tokens, Run(**settings | {"drop": {"all": 0, "text": 0}} | changes))


def test_shares_of_the_drops():
    draws = torch.rand(100_000, 2, generator=torch.Generator().manual_seed(0)).tolist()
    counts = Counter(drop(Drop(all=0.10, text=0.05), *pair) for pair in draws)
    shares = {key: counts[key] / len(draws) for key in counts}
    assert shares == pytest.approx({None: 0.85, "<cfg>": 0.05, NEGATIVE: 0.05, "text": 0.05}, abs=0.004)


def test_all_dropped_is_an_unconditional_prompt_and_counts_plainly(tiny_weights):
    tokens = tiny_weights().tokens
    batch = batches(tokens, drop={"all": 1, "text": 0}, batch=20)[0]
    assert {tuple(p.ids) for p in batch.prompts} == {tuple(tokens.negative().ids), tuple(tokens.dropped().ids)}
    assert not any(p.images for p in batch.prompts)
    assert (batch.weight == 1).all()
    assert batch.edit.sum() == 12


def test_text_dropped_keeps_the_image_and_leaves_text_to_image_alone(tiny_weights):
    tokens = tiny_weights().tokens
    whole, cut = batches(tokens, batch=5)[0], batches(tokens, batch=5, drop={"all": 0, "text": 1})[0]
    for edit, prompt, left in zip(whole.edit, whole.prompts, cut.prompts):
        assert left.ids == (tokens.prompt("", prompt.images).ids if edit else prompt.ids)
    assert torch.equal(whole.weight, cut.weight)


def test_plans_are_for_expressive_runs(tiny_weights):
    tokens = tiny_weights().tokens
    for expressive, pauses in ((False, 0), (True, 2)):
        batch = batches(tokens, expressive=expressive, batch=5)[0]
        assert [p.ids.count(tokens.pause_id) for p in batch.prompts] == [pauses * bool(e) for e in batch.edit]


def test_every_epoch_holds_every_sample_once_whatever_the_batch(tiny_weights):
    tokens = tiny_weights().tokens
    picks = [batches(tokens).pick(place) for place in range(15)]
    for epoch in range(3):
        part = picks[5 * epoch : 5 * epoch + 5]
        assert sorted(example.id for example, _ in part) == sorted(example.id for example in EXAMPLES)
        assert {e for _, e in part} == {epoch}
    assert len({tuple(order(50, seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9
    wide, narrow = batches(tokens, batch=4), batches(tokens, batch=2)
    assert torch.equal(wide[1].noise, torch.cat([narrow[2].noise, narrow[3].noise]))
    assert torch.equal(wide[1].t, torch.cat([narrow[2].t, narrow[3].t]))


def test_a_step_is_the_same_whenever_it_is_asked_for(tiny_weights):
    tokens = tiny_weights().tokens
    one, other = batches(tokens), batches(tokens)
    first, _, again = one[0], one[7], one[0]
    assert torch.equal(first.noise, again.noise) and torch.equal(one[7].t, other[7].t)
    assert not torch.equal(one[0].t, batches(tokens, seed=1)[0].t)


def test_edits_are_weighted_against_their_source(tiny_weights):
    batch = batches(tiny_weights().tokens, batch=5)[0]
    for image, weight, prompt in zip(batch.image, batch.weight, batch.prompts):
        wanted = magd.edit_weight(image[None], prompt.images[0][None])[0] if prompt.images else torch.ones(4, 4, 4)
        assert torch.equal(weight, wanted)
