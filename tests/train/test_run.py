"""A training as a job: interrupted or not, the same bits; its folder loads; a bad input is named."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file
from worlds import MAGD, settings

from madi import provenance, shards
from madi.errors import MadiError
from madi.model import checkpoint
from madi.records import LATENT, PLAN, SAMPLE
from madi.train import examples, loop
from madi.train.batches import Batches, together

KINDS = {
    "ft": {},
    "magd": {"magd": MAGD},
    "ema": {"ema": 0.9, "magd": MAGD},
    "lora": {"lora": {"rank": 2, "alpha": 4}, "expressive": True},
    "micro": {"micro_tokens": 200, "checkpoint_blocks": True},
    "sampled": {"posterior": "sample", "masked_source": {"place": "added"}},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_training_ends_in_the_same_bits(world, kind, monkeypatch):
    whole = world.train("whole", **KINDS[kind])
    real, calls = loop.step, []

    def dies(training, rows, bad, number, folder):
        calls.append(number)
        if len(calls) in (4, 6):
            raise KeyboardInterrupt
        return real(training, rows, bad, number, folder)

    monkeypatch.setattr(loop, "step", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            world.train("cut", **KINDS[kind])
    assert world.train("cut", **KINDS[kind]) == whole
    assert calls == [0, 1, 2, 3, 2, 3, 2, 3, 4, 5]
    assert list((world.folder / "state").iterdir()) == []


def print_of(world, **changes) -> str:
    """The name of the state's folder, as an interrupted training makes it."""
    with pytest.raises(MadiError, match="time budget"):
        world.train("print", minutes=0, **changes)
    (folder,) = (world.folder / "state").iterdir()
    shutil.rmtree(folder)
    return folder.name


def retold(path, schema, name=None):
    """The file without its last row, or without the tensor of that name."""
    rows = shards.read(path, schema)
    shards.write(path, [row for row in rows if row["name"] != name] if name else rows[:-1], schema)


def reworded(path):
    rows = shards.read(path, SAMPLE)
    shards.write(path, [row | {"instruction": row["instruction"] + "!"} for row in rows], SAMPLE)


CHANGES = {
    "samples": lambda world: retold(world.folder / "samples.parquet", SAMPLE),
    "words": lambda world: reworded(world.folder / "samples.parquet"),
    "plans": lambda world: retold(world.folder / "plans.parquet", PLAN),
    "index": lambda world: retold(world.folder / "latents.parquet", LATENT, "s4.masked_1"),
    "tensors": lambda world: world.write_latents(lambda name, tensor: tensor + 1),
    "base": lambda world: (world.folder / "base" / "more.json").write_text("{}"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_other_inputs_is_not_taken_up(world, change):
    before = print_of(world)
    assert print_of(world) == before
    CHANGES[change](world)
    assert print_of(world) != before


def test_a_state_of_other_settings_or_code_is_not_taken_up(world, monkeypatch):
    before = print_of(world)
    assert print_of(world, steps=7) != before
    assert print_of(world, shard=True) == before  # as many processes as one likes go on
    assert print_of(world, bad_samples=7, save_every=3, keep_states=1) == before  # no weight depends on these
    real = provenance.folder_sha
    other = lambda path, *more: "other" if str(path).endswith("madi/train") else real(path, *more)  # noqa: E731
    monkeypatch.setattr(provenance, "folder_sha", other)
    assert print_of(world) != before


def test_the_loss_falls_and_the_vae_stays(world):
    before = checkpoint.load(world.folder / "base")
    world.train(steps=30, warmup_steps=1, save_every=30, drop={"all": 0, "text": 0})
    after, losses = checkpoint.load(world.folder / "out" / "weights"), world.losses()
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert not torch.equal(before.packed.stock.proj_out.weight, after.packed.stock.proj_out.weight)
    assert all(torch.equal(a, b) for a, b in zip(before.codec.vae.parameters(), after.codec.vae.parameters()))


@pytest.mark.parametrize("expressive", [False, True])
def test_the_pause_row_learns_only_in_expressive_runs(world, expressive):
    world.train(expressive=expressive)
    before, after = checkpoint.load(world.folder / "base"), checkpoint.load(world.folder / "out" / "weights")
    rows = [w.packed.stock.embed_tokens.weight[w.tokens.pause_id] for w in (before, after)]
    assert torch.equal(*rows) is not expressive


def test_the_manifest_names_every_file_by_its_hash(world):
    world.train(magd=MAGD)
    assert world.manifest() == provenance.file_shas(world.folder / "out" / "weights")
    assert {checkpoint.MASK_TOKENS, "README.md", "model_index.json"} <= world.manifest().keys()


def test_what_a_run_was_is_beside_its_weights(world):
    world.train(magd=MAGD, expressive=True)
    told = json.loads((world.folder / "out" / "run.json").read_text())
    assert told["config"]["settings"]["steps"] == 6 and told["processes"] == 1 and told["hours"] >= 0
    assert set(told["inputs"]) == {"samples", "latents"}
    assert {"torch", "accelerate"} <= told["versions"].keys() and told["hardware"]["cores"]
    card = (world.folder / "out" / "weights" / "README.md").read_text()
    assert "6 steps of 4 samples, with MAgD (rate 0.25 at noise levels from 0) and expressive prompts" in card
    assert card.startswith("---\nlibrary_name: diffusers") and "mask_tokens.safetensors" in card


def test_adapters_lie_beside_the_weights_they_are_merged_into(world, tiny_weights):
    from madi.model import lora

    world.train(lora={"rank": 2, "alpha": 4}, magd=MAGD)
    merged = checkpoint.load(world.folder / "out" / "weights").packed.stock.state_dict()
    base = checkpoint.load(world.folder / "base").packed.stock
    before = base.proj_out.weight.clone()
    lora.merge(lora.load(world.folder / "out" / "lora", base))
    assert all(torch.allclose(value, merged[name], atol=1e-6) for name, value in base.state_dict().items())
    assert torch.equal(before, merged["proj_out.weight"])
    assert (world.folder / "out" / "weights" / checkpoint.MASK_TOKENS).exists()


def test_averaged_weights_are_the_result(world):
    plain, averaged = world.train("plain"), world.train("averaged", ema=0.5)
    assert plain["train.csv"] == averaged["train.csv"]
    name = "weights/transformer/diffusion_pytorch_model.safetensors"
    assert plain[name] != averaged[name]


def test_half_precision_computes_in_half_and_keeps_float32_masters(world):
    world.train("whole"), world.train("half", precision="bfloat16")
    whole, half = world.losses("whole"), world.losses("half")
    assert whole != half and all(abs(a - b) < 0.05 * a for a, b in zip(whole, half))
    file = world.folder / "half" / "weights" / "transformer" / "diffusion_pytorch_model.safetensors"
    weight = load_file(file)["proj_out.weight"]
    assert weight.dtype == torch.float32 and not torch.equal(weight, weight.bfloat16().float())


def test_weights_are_stored_in_the_bases_own_type(world):
    base = checkpoint.load(world.folder / "base")
    torch.nn.Module.to(base.packed.stock, torch.bfloat16)
    checkpoint.save(world.folder / "base", base)
    world.train()
    assert checkpoint.load(world.folder / "out" / "weights").packed.stock.dtype == torch.bfloat16


def test_runs_of_one_seed_share_all_draws_but_the_mask(world):
    latents = examples.Latents(world.folder / "latents.parquet")
    found = examples.read(world.folder / "samples.parquet", world.folder / "plans.parquet", latents)
    tokens = checkpoint.load(world.folder / "base").tokens
    one, two = (together(Batches(found, latents, tokens, settings(magd=magd, batch=12))[3][0]) for magd in (None, MAGD))
    for name in ("image", "noise", "weight", "t", "edit", "place"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    assert [p.ids for p in one.prompts] == [p.ids for p in two.prompts]
    assert two.mask.sum(1).tolist() == [1] * 12 and not one.mask.any()


def test_masks_of_a_higher_rate_or_level_hold_those_of_a_lower(world):
    latents = examples.Latents(world.folder / "latents.parquet")
    found = examples.read(world.folder / "samples.parquet", world.folder / "plans.parquet", latents)
    tokens = checkpoint.load(world.folder / "base").tokens
    high = MAGD | {"probability": 0.5, "noise_level": 0.7}
    low, rate, level = (
        together(Batches(found, latents, tokens, settings(batch=48, magd=high | more))[0][0]).mask
        for more in ({}, {"rate": 0.5}, {"noise_level": 0.5})
    )
    assert low.any() and (rate & low).equal(low) and (level & low).equal(low)
    assert rate.sum() == 2 * low.sum() and level.sum() > low.sum()


def test_a_missing_or_broken_input_is_named(world):
    index = world.folder / "latents.parquet"
    shards.write(index, [r for r in shards.stream(index, LATENT) if r["name"] != "s5.target"], LATENT)
    with pytest.raises(MadiError, match="no target latent of sample s5"):
        world.train()
    (world.folder / "latents" / "00000.safetensors").write_bytes(b"nothing")
    with pytest.raises(MadiError, match="00000.safetensors: not a whole safetensors file"):
        world.train()


def test_a_missing_tracker_is_told_before_anything_is_loaded(world, monkeypatch):
    monkeypatch.setattr(checkpoint, "load", None)
    with pytest.raises(MadiError, match="wandb is not installed; pip install wandb, or tracker: null"):
        world.train(tracker="wandb")


def test_a_full_disk_at_the_end_keeps_the_state_and_another_go_only_writes(world, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    whole = world.train("whole")
    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", full)
        with pytest.raises(MadiError, match=r"weights cannot be written \(.*No space left.*make room and run it"):
            world.train("cut")
    assert world.states()[-1] == "step-0000006.safetensors"
    monkeypatch.setattr(loop, "step", None)
    assert world.train("cut") == whole


def test_states_that_wait_for_nobody_are_told_of(world, capsys):
    with pytest.raises(MadiError, match="time budget"):
        world.train("cut", minutes=0, seed=1)
    world.train("other")
    (kept,) = (world.folder / "state").iterdir()
    assert f"note: {kept} keeps another training's state" in capsys.readouterr().err


def test_a_taken_lease_keeps_a_sleeper_from_writing_its_result(world, monkeypatch):
    from madi.lease import Lease

    monkeypatch.setattr(loop, "train", lambda training, around: around.lease.path.write_text("{}"))
    monkeypatch.setattr(Lease, "give_up", lambda self: self.done.set())
    with pytest.raises(MadiError, match="another process took over"):
        world.train("late")
    assert not (world.folder / "late").exists()


def test_portions_of_planned_samples_are_the_same_for_runs_that_show_no_plans(world):
    mixture = {"planned": {"planned": True, "weight": 1}, "rest": {"planned": False, "weight": 1}}
    world.train("plain", mixture=mixture), world.train("shown", mixture=mixture, expressive=True)
    tables = [(world.folder / name / "train.csv").read_text() for name in ("plain", "shown")]
    changed = [[row.split(",")[loop.COLUMNS.index("changed")] for row in table.split()] for table in tables]
    assert changed[0] == changed[1] and tables[0] != tables[1] and any(changed[0][1:])
