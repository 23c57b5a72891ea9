"""The trainers' own parts: the dense forward is the packed one, a resumed training is an uninterrupted one."""

import contextlib
import re
import tokenize
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import madi
from madi.errors import MadiError
from madi.model.packed import Packed
from madi.pretrain import vae
from madi.pretrain.dense import Dense
from madi.pretrain.loop import Muon, optimiser, train
from madi.pretrain.mix import batch_of
from madi.pretrain.reader import WIDTHS
from madi.pretrain.settings import Steps, VaeSettings, checkpoint, rate, read
from madi.progress import log_to
from madi.scenes.splits import split_of

STEPS = Steps(
    seed=0, steps=8, batch=4, learning_rate=0.01, warmup_steps=2, weight_decay=0.0, gradient_clip=1.0, ema=0.9,
    precision="fp32", save_every=4,
)  # fmt: skip


def small():
    from diffusers import OmniGenTransformer2DModel

    torch.manual_seed(0)
    scaling = {"short_factor": [1.0] * 8, "long_factor": [1.0] * 8}
    return OmniGenTransformer2DModel(
        in_channels=4, hidden_size=32, num_attention_heads=2, num_key_value_heads=2, intermediate_size=48,
        num_layers=2, pad_token_id=2, vocab_size=64, max_position_embeddings=256,
        original_max_position_embeddings=256, rope_scaling=scaling, pos_embed_max_size=8,
    )  # fmt: skip


def test_a_training_of_other_settings_starts_anew(tmp_path):
    settings = read("config/pretrain.yaml")

    def moved(part, **changes):
        own = getattr(settings, part)
        other = settings.model_copy(update={part: own.model_copy(update=changes)})
        names = ("tokenizer", "vae", "decoder", "base", "clip", "vit")
        return {n for n in names if checkpoint(tmp_path, settings, n) != checkpoint(tmp_path, other, n)}

    assert moved("clip", reader=0.5) == {"clip"} and moved("base", loose=0.5) == {"base"}
    assert moved("tokenizer", seed=5) == {"tokenizer", "base"}
    longer = settings.base.train.model_copy(update={"decay_steps": 1000})
    names = {
        checkpoint(
            tmp_path, settings.model_copy(update={"base": settings.base.model_copy(update={"train": t})}), "base"
        )
        for t in (longer, longer.model_copy(update={"steps": 20_000}))
    }
    assert len(names) == 1  # the same training, made longer
    assert moved("vae", kl=0.5) == {"vae", "decoder", "base"} and moved("vae", things=2.0) == {"decoder"}


def test_dense_forward_is_the_packed_forward():
    packed, rng = Packed(small()).eval(), np.random.default_rng(0)
    image = rng.standard_normal((4, 4, 4)).astype(np.float32)
    truth = np.zeros(len(WIDTHS), np.int64)
    edit = ([5, 6, 0, 0, 0, 0, 7, 8], [(2, 6)], [image], image, image, truth, truth)
    words = ([9, 10, 11], [], [], image, image, truth, truth)
    batch = batch_of(20, [words, edit])
    x, t = torch.randn(2, 4, 4, 4), torch.tensor([0.2, 0.7])
    with torch.no_grad():
        there, here = packed(x, t, batch.prompts), Dense(packed, compiled=False).states(x, t, batch)[0]
    assert torch.allclose(there, here, atol=1e-5)


def fit(path, until_step=None, muon=None, **changes):
    torch.manual_seed(0)
    module = torch.nn.Sequential(OrderedDict({"layers": torch.nn.Sequential(torch.nn.Linear(3, 3))}))

    def loss_of(step):
        if step == until_step:
            raise KeyboardInterrupt
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(step))
        return (module(x) - x.flip(1)).pow(2).mean(), {}

    return module, train(module, loss_of, STEPS.model_copy(update={"muon": muon} | changes), path, every=4)


@pytest.mark.parametrize("muon", [None, 0.02])
def test_resumed_training_equals_an_uninterrupted_one(tmp_path, muon):
    whole, average = fit(tmp_path / "a", muon=muon)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "b", until_step=6, muon=muon)
    again, resumed = fit(tmp_path / "b", muon=muon)
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), again.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(average.values, resumed.values))


def test_a_training_with_a_decay_is_made_longer_from_before_its_decay(tmp_path):
    """8 steps, and then 12, equal 12 at once; within the decay an interruption costs nothing either."""
    fit(tmp_path / "a", decay_steps=2, save_every=3)
    longer, average = fit(tmp_path / "a", steps=12, decay_steps=4, save_every=3)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "b", until_step=11, steps=12, decay_steps=4, save_every=3)
    at_once, other = fit(tmp_path / "b", steps=12, decay_steps=4, save_every=3)
    assert all(torch.equal(a, b) for a, b in zip(longer.parameters(), at_once.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(average.values, other.values, strict=True))
    with pytest.raises(MadiError, match="the state is of step 8, and the decay begins at step 5; .*set steps to 11"):
        fit(tmp_path / "a", steps=8, decay_steps=3, save_every=3)


def test_muon_is_torchs_but_in_float32():
    """torch.optim.Muon orthogonalises in bfloat16: the same up to that rounding, of matrices tall, wide and square."""
    generator = torch.Generator().manual_seed(0)
    starts = [torch.randn(shape, generator=generator) for shape in ((6, 4), (4, 6), (5, 5), (5, 5))]
    ours, theirs = ([torch.nn.Parameter(value.clone()) for value in starts] for _ in range(2))
    own = Muon(ours, lr=0.02, weight_decay=0.1)
    stock = torch.optim.Muon(theirs, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for _ in range(3):
        for a, b in zip(ours, theirs, strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        own.step()
        stock.step()
    for a, b, start in zip(ours, theirs, starts, strict=True):
        moved = (b - start).norm()
        assert (a - b).norm() < 0.02 * moved and moved > 0.01


def test_a_kept_state_is_safetensors(tmp_path):
    module, average = fit(tmp_path / "a")
    (kept,) = (path for path in tmp_path.rglob("*") if path.is_file())
    tensors = load_file(kept)
    assert torch.equal(tensors["module.0.layers.0.weight"], module.layers[0].weight)
    assert torch.equal(tensors["module.1.1"], average.values[1])
    assert {f"optimizer.{k}.exp_avg" for k in (0, 1)} < tensors.keys()


def test_muon_turns_the_blocks_matrices_and_adam_the_rest():
    steps = STEPS.model_copy(update={"muon": 0.02})
    parts = optimiser(small(), steps).parts
    (hidden,), rest = parts[0].param_groups, parts[1].param_groups
    assert len(hidden["params"]) == 2 * 6 and {p.ndim for p in hidden["params"]} == {2}  # q, k, v, out, gate_up, down
    count = sum(len(group["params"]) for group in (hidden, *rest))
    assert count == len(list(small().parameters()))
    assert (hidden["peak"], rest[0]["peak"]) == (0.02, steps.learning_rate)


def test_a_broken_state_is_named(tmp_path):
    fit(tmp_path / "a")
    (kept,) = tmp_path.rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    with pytest.raises(MadiError, match=f"{kept.name}: not a whole safetensors file"):
        fit(tmp_path / "a")


def test_no_code_unpickles_or_runs_code_of_others():
    forbidden = re.compile(r"torch \. (load|save) |\b(pickle|joblib)\b|trust_remote_code (?!= False)")
    found = []
    for path in Path(madi.__file__).parent.rglob("*.py"):
        with open(path, "rb") as file:
            code = " ".join(
                t.string for t in tokenize.tokenize(file.readline) if t.type in (tokenize.NAME, tokenize.OP)
            )
        found += [(path.name, match.group()) for match in forbidden.finditer(code)]
    assert found == []


def test_what_a_training_says_reaches_the_log(tmp_path):
    with log_to(tmp_path / "log"):
        fit(tmp_path / "a")
    assert [line.split()[0] for line in (tmp_path / "log").read_text().splitlines()] == ["4/8", "8/8"]


def test_each_phase_of_the_vae_has_its_own_precision(monkeypatch):
    settings, asked = read("config/pretrain.yaml"), []
    own = settings.vae.model_copy(update={"train": STEPS.model_copy(update={"precision": "bf16"}), "decoder": STEPS})
    settings = settings.model_copy(update={"vae": own})
    monkeypatch.setattr(vae, "autocast", lambda precision: asked.append(precision) or contextlib.nullcontext())
    made = vae.build(own)
    for steps in (own.train, own.decoder):
        vae.drawn_loss(made, 0, steps, settings)
    assert asked == ["bf16", "fp32"]


def test_rate_warms_up_and_falls():
    rates = [rate(step, STEPS) for step in range(8)]
    assert rates[0] < rates[1] == 1 and rates[2:] == sorted(rates[2:], reverse=True)
    rates = [rate(step, STEPS.model_copy(update={"decay_steps": 3})) for step in range(8)]
    assert rates[1:6] == [1.0] * 5 and rates[6] == pytest.approx(0.67) and rates[7] == pytest.approx(0.34)


def test_untrained_vae_passes_every_colour():
    own: VaeSettings = read("config/pretrain.yaml").vae
    torch.manual_seed(0)
    made = vae.build(own)
    for colour in range(3):
        flat = torch.full((1, 3, 32, 32), -0.4)
        flat[:, colour] = 0.6
        with torch.no_grad():
            shown = made.decode(made.encode(flat).latent_dist.mean).sample[0, :, 8:24, 8:24].mean((1, 2))
        assert int(shown.argmax()) == colour


def test_pictures_are_of_the_split_and_repeat():
    assert np.array_equal(vae.pictures(3, "base", "s", 32), vae.pictures(3, "base", "s", 32))
    assert all(split_of(scene) == "base" for scene in vae.scenes(20, "base", "s"))
