"""A training as a job: interrupted or not, the same bits; its folder loads; a bad input is named."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from madi import provenance, shards
from madi.config import RunSlice
from madi.errors import MadiError
from madi.model import checkpoint
from madi.records import LATENT, PLAN, SAMPLE
from madi.settings import Run
from madi.train import examples, loop, run, state
from madi.train.batches import Batches

SETTINGS = {"seed": 0, "steps": 6, "batch": 4, "learning_rate": 1e-2, "warmup_steps": 2, "weight_decay": 0.1}
SETTINGS |= {"gradient_clip": 1.0, "save_every": 2, "expressive": False, "magd": None}
SETTINGS |= {"drop": {"all": 0.1, "text": 0.05}}
MAGD = {"probability": 1.0, "noise_level": 0.0, "rate": 0.25, "token": "pool", "pool_size": 16, "pool_width": 8}


@pytest.fixture
def world(tmp_path, tiny_weights):
    """Base weights, and 6 samples with random latents: even ones are edits with a plan, odd ones text to image."""
    checkpoint.save(tmp_path / "base", tiny_weights())
    names = [f"s{i}" for i in range(6)]
    base = {"set": "train", "split": "tune", "sources": [], "phash": "", "sha256": ""}
    base |= {"origin": {"file": "", "row": 0, "revision": ""}}
    rows = [base | {"sample_id": n, "group_id": n, "instruction": f"paint {n}"} for n in names]
    shards.write(tmp_path / "samples.parquet", rows, SAMPLE)
    told = {"plan": ["look.", "act."], "provider": "truth", "model": "none", "prompt_sha": "none", "status": "ok"}
    shards.write(tmp_path / "plans.parquet", [told | {"sample_id": n} for n in names[::2]], PLAN)
    roles = [(n, role) for i, n in enumerate(names) for role in (["source_1"] * (i % 2 == 0) + ["target"])]
    latents = {
        f"{n}.{r}": torch.randn(4, 4, 4, generator=torch.Generator().manual_seed(i)) for i, (n, r) in enumerate(roles)
    }
    save_file(latents, tmp_path / "latents.safetensors")
    index = {"shard": "latents.safetensors", "h": 4, "w": 4, "sha256": ""}
    rows = [index | {"sample_id": n, "role": r, "name": f"{n}.{r}"} for n, r in roles]
    shards.write(tmp_path / "latents.parquet", rows, LATENT)
    return tmp_path


def settings(**changes):
    return Run(**SETTINGS | changes)


def job_of(world, **changes):
    return RunSlice(
        run="r", name="t", seed=0, size_px=32, threads=1, base=str(world / "base"), settings=settings(**changes)
    )


def inputs(world):
    return [world / f"{kind}.parquet" for kind in ("samples", "plans", "latents")]


def start(world, name, **changes):
    job, out = job_of(world, **changes), world / name
    run.run(job, *inputs(world), out / "weights.json", world / "state", out / "train.csv")
    return {path.relative_to(out): path.read_bytes() for path in out.rglob("*") if path.is_file()}


@pytest.mark.parametrize("magd", [None, MAGD], ids=["ft", "magd"])
def test_an_interrupted_training_ends_in_the_same_bits(world, magd, monkeypatch):
    whole = start(world, "whole", magd=magd)
    real, calls = loop.step, []

    def dies(*args):
        calls.append(args[-1])
        if len(calls) in (4, 6):
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(loop, "step", dies)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            start(world, "cut", magd=magd)
    assert start(world, "cut", magd=magd) == whole
    assert calls == [0, 1, 2, 3, 2, 3, 2, 3, 4, 5]
    assert list((world / "state").iterdir()) == []


def retold(path, schema):
    """The file without its last row."""
    shards.write(path, list(shards.stream(path, schema))[:-1], schema)


def other_tensors(world):
    tensors = {name: value + 1 for name, value in load_file(world / "latents.safetensors").items()}
    save_file(tensors, world / "latents.safetensors")


def other_base(world):
    (world / "base" / "more.json").write_text("{}")


CHANGES = {
    "samples": lambda world: retold(world / "samples.parquet", SAMPLE),
    "plans": lambda world: retold(world / "plans.parquet", PLAN),
    "index": lambda world: retold(world / "latents.parquet", LATENT),
    "tensors": other_tensors,
    "base": other_base,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_of_other_inputs_is_not_taken_up(world, change):
    before = run.fingerprint(job_of(world), *inputs(world))
    assert run.fingerprint(job_of(world), *inputs(world)) == before
    CHANGES[change](world)
    assert run.fingerprint(job_of(world), *inputs(world)) != before


def test_a_state_of_other_settings_or_code_is_not_taken_up(world, monkeypatch):
    before = run.fingerprint(job_of(world), *inputs(world))
    assert run.fingerprint(job_of(world, batch=3), *inputs(world)) != before
    assert run.fingerprint(job_of(world), world / "samples.parquet", None, world / "latents.parquet") != before
    monkeypatch.setattr(provenance, "code_sha", lambda: "other")
    assert run.fingerprint(job_of(world), *inputs(world)) != before


def test_training_changes_weights_and_lowers_the_loss(world):
    files = start(world, "out", steps=30, batch=6)
    before, after = checkpoint.load(world / "base"), checkpoint.load(world / "out" / "weights")
    table = [line.split(",") for line in files[next(p for p in files if p.name == "train.csv")].decode().split()]
    losses = [float(row[table[0].index("loss")]) for row in table[1:]]
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert not torch.equal(before.packed.stock.proj_out.weight, after.packed.stock.proj_out.weight)
    assert all(torch.equal(a, b) for a, b in zip(before.codec.vae.parameters(), after.codec.vae.parameters()))


@pytest.mark.parametrize("expressive", [False, True])
def test_the_pause_row_learns_only_in_expressive_runs(world, expressive):
    start(world, "out", expressive=expressive)
    before, after = checkpoint.load(world / "base"), checkpoint.load(world / "out" / "weights")
    rows = [w.packed.stock.embed_tokens.weight[w.tokens.pause_id] for w in (before, after)]
    assert torch.equal(*rows) is not expressive


def test_a_frozen_row_gets_no_gradient():
    weight = torch.nn.Parameter(torch.ones(4, 2))
    loop.freeze_row(weight, 2)
    weight.sum().backward()
    assert weight.grad.tolist() == [[1, 1], [1, 1], [0, 0], [1, 1]]


def test_the_manifest_names_every_file_by_its_hash(world):
    files = start(world, "out", magd=MAGD)
    told = json.loads(next(data for path, data in files.items() if path.name == "weights.json"))
    assert told == provenance.file_shas(world / "out" / "weights")
    assert checkpoint.MASK_TOKENS in told
    assert {"model_index.json", "transformer/config.json"} <= told.keys()


def test_runs_of_one_seed_share_all_draws_but_the_mask(world):
    latents = examples.Latents(world / "latents.parquet")
    found = examples.read(world / "samples.parquet", world / "plans.parquet", latents)
    tokens = checkpoint.load(world / "base").tokens
    plain, masked = (Batches(found, latents, tokens, settings(magd=magd, batch=12)) for magd in (None, MAGD))
    one, two = plain[3], masked[3]
    for name in ("image", "noise", "weight", "t", "edit", "index"):
        assert torch.equal(getattr(one, name), getattr(two, name)), name
    assert [p.ids for p in one.prompts] == [p.ids for p in two.prompts]
    assert two.mask.sum(1).tolist() == [1] * 12 and not one.mask.any()


def test_masks_of_a_higher_rate_or_level_hold_those_of_a_lower(world):
    latents = examples.Latents(world / "latents.parquet")
    found = examples.read(world / "samples.parquet", world / "plans.parquet", latents)
    tokens = checkpoint.load(world / "base").tokens
    variants = [{}, {"rate": 0.5}, {"noise_level": 0.5}]
    low, rate, level = (
        Batches(found, latents, tokens, settings(batch=48, magd=MAGD | {"probability": 0.5, "noise_level": 0.7} | v))[
            0
        ].mask
        for v in variants
    )
    assert low.any() and (rate & low).equal(low) and (level & low).equal(low)
    assert rate.sum() == 2 * low.sum() and level.sum() > low.sum()


def test_another_writer_is_refused(tmp_path):
    with state.only_writer(tmp_path), pytest.raises(MadiError, match="another training"), state.only_writer(tmp_path):
        pass


def test_a_missing_or_broken_input_is_named(world):
    shards.write(world / "latents.parquet", list(shards.stream(world / "latents.parquet", LATENT))[:-1], LATENT)
    with pytest.raises(MadiError, match="no target latent of sample s5"):
        start(world, "out")
    (world / "latents.safetensors").write_bytes(b"nothing")
    with pytest.raises(MadiError, match="latents.safetensors: not a whole safetensors file"):
        start(world, "out")


def test_a_broken_state_is_named(world, tmp_path):
    (tmp_path / state.FILE).write_bytes(b"nothing")
    with pytest.raises(MadiError, match="state.safetensors"):
        state.load(tmp_path, torch.nn.Linear(1, 1), None)
