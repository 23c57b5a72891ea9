"""What surrounds the loop: validation, trackers, the meter, the deadline, bad latents."""

import time

import numpy as np
import pytest
import torch
from PIL import Image
from worlds import MAGD, World

from madi import images, shards
from madi.errors import MadiError
from madi.model import flops
from madi.model.runs import runs
from madi.records import SAMPLE
from madi.train import loop
from madi.train.ahead import ahead
from madi.train.deadline import Deadline
from madi.train.meter import Meter
from madi.train.validate import Validation


@pytest.fixture
def validation(tmp_path):
    """Three samples: an edit, a text to image, an edit without a target."""
    rng = np.random.default_rng(0)
    pictures = [images.picture(rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for _ in range(4)]
    base = {"set": "validation", "split": "v", "phash": "", "sha256": ""}
    base |= {"origin": {"file": "", "row": 0, "revision": ""}}
    rows = [
        base | {"sample_id": n, "group_id": n, "instruction": f"paint {n}", "sources": sources, "target": target}
        for n, sources, target in (("a", pictures[:1], pictures[1]), ("b", [], pictures[2]), ("c", pictures[3:], None))
    ]
    shards.write(tmp_path / "validation.parquet", rows, SAMPLE)
    return tmp_path / "validation.parquet"


HOW = {"validate_edits": {"every": 2, "samples": 2, "steps": 2}}


def test_validation_edits_are_written_as_grids_and_change_no_weight(world, validation):
    plain = world.train("plain")
    looked = world.train("looked", files=world.files("looked", validation=validation), **HOW)
    names = sorted(name for name in looked if name.startswith("validation/"))
    assert names == [f"validation/step_000000{n}.jpg" for n in (2, 4, 6)]
    sheet = Image.open(world.folder / "looked" / names[0])
    assert sheet.width > 3 * 192 and sheet.height > 2 * 192
    assert looked["train.csv"] == plain["train.csv"]
    stored = "weights/transformer/diffusion_pytorch_model.safetensors"
    assert looked[stored] == plain[stored]


def test_validation_looks_at_the_average_where_there_is_one(world, validation, monkeypatch):
    seen = []
    real = Validation.edits
    monkeypatch.setattr(Validation, "edits", lambda self: seen.append(first(self.weights)) or real(self))
    world.train(files=world.files(validation=validation), ema=0.9, **HOW)
    world.train("plain", files=world.files("plain", validation=validation), **HOW)
    assert not any(torch.equal(a, b) for a, b in zip(seen[:3], seen[3:]))


def first(weights):
    return weights.packed.stock.proj_out.weight.detach().clone()


def test_edits_differ_as_the_weights_do_and_not_otherwise(tiny_weights, validation, world):
    run = world.job(**HOW).settings
    weights = tiny_weights()
    looking = Validation(validation, weights, run, 32)
    before, again = looking.edits(), looking.edits()
    with torch.no_grad():
        weights.packed.stock.proj_out.weight.mul_(3)
    assert all(np.array_equal(a, b) for a, b in zip(before, again))
    assert not all(np.array_equal(a, b) for a, b in zip(before, looking.edits()))


def test_a_run_that_validates_wants_samples(world):
    with pytest.raises(MadiError, match="--validation FILE"):
        world.train(**HOW)


def test_figures_and_pictures_reach_tensorboard(world, validation):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    world.train(files=world.files(validation=validation), tracker="tensorboard", magd=MAGD, **HOW)
    found = EventAccumulator(str(world.folder / "track" / "r")).Reload()
    tags = found.Tags()
    assert {"loss", "masked", "edit", "t2i", "tokens_per_second", "mfu", "data_wait", "memory_gb"} <= set(
        tags["scalars"]
    )
    assert [event.step for event in found.Scalars("loss")] == [1, 2, 3, 4, 5, 6] and tags["images"]
    assert [event.value for event in found.Scalars("loss")] == pytest.approx(world.losses(), rel=1e-5)


def test_operations_by_arithmetic_are_those_that_are_run(tiny_weights):
    from madi.model.packed import segments_of

    weights = tiny_weights()
    source = torch.zeros(4, 8, 8)
    for prompt in (weights.tokens.prompt("make it red", [source, source]), weights.tokens.prompt("a star")):
        config = weights.packed.stock.config
        assert flops.sample(config, prompt, 16) == flops.stream(config, segments_of([prompt], 16))
        assert flops.seen(runs(3, [], 2)) == 1 + 2 + 3 + 4 + 2 * 6


def test_the_meter_tells_shares_of_time(tiny_weights, world):
    weights = tiny_weights()
    row = loop_rows(world)[0]
    meter = Meter(weights.packed.stock.config, torch.device("cpu"), 1e12)
    meter.waiting(0.05)
    meter.count([row, row])
    time.sleep(0.1)
    found = meter.read(1.5)
    assert found["tokens_per_second"] == pytest.approx(2 * row.length / 0.1, rel=0.3)
    assert found["mfu"] == pytest.approx(6 * flops.sample(meter.config, row.prompt, 4) / 0.1 / 1e12, rel=0.3)
    assert 0.3 < found["data_wait"] < 0.6 and found["memory_gb"] > 0.05
    assert meter.told.startswith("loss 1.500, ") and "MFU" in meter.told and "data wait" in meter.told


def loop_rows(world):
    from madi.model import checkpoint
    from madi.train import examples
    from madi.train.batches import Batches

    latents = examples.Latents(world.folder / "latents.parquet")
    found = examples.read(world.folder / "samples.parquet", None, latents)
    return Batches(found, latents, checkpoint.load(world.folder / "base").tokens, world.job().settings)[0][0]


def test_the_next_batch_is_read_while_the_step_runs():
    class Slow:
        def __getitem__(self, step):
            time.sleep(0.05)
            return step

    waits = []
    for step, got, waited in ahead(Slow(), 3, 8):
        assert step == got
        waits.append(waited)
        time.sleep(0.1)
    assert waits[0] > 0.04 and max(waits[1:]) < 0.02 and len(waits) == 5


def test_a_fault_of_reading_comes_out_where_the_step_is_taken():
    class Broken:
        def __getitem__(self, step):
            raise MadiError("broken", "shard")

    with pytest.raises(MadiError, match="shard: broken"):
        list(ahead(Broken(), 0, 2))


def test_the_deadline_leaves_room_for_the_longest_step_and_a_state():
    deadline = Deadline(10 / 60)
    deadline.took(step=1.0)
    deadline.took(step=0.5, save=1.0)
    assert not deadline.over()  # 4 of 10 seconds are kept free
    deadline.took(save=4.5)
    assert deadline.over() and deadline.why == "the time budget is used up"
    assert not Deadline(None).over()


def test_time_spent_waiting_for_a_lease_is_no_step():
    deadline = Deadline(1 / 60)
    time.sleep(0.45)
    assert not deadline.over()


def test_rows_are_made_faster_than_they_are_trained_on(tmp_path, tiny_weights):
    """1024 px from a real cache on one core: four GPUs take some 6 samples a second, so that they never wait."""
    from safetensors.torch import save_file

    from madi.data.latents import checksum
    from madi.records import LATENT
    from madi.settings import Run
    from madi.train.batches import Batches
    from madi.train.examples import Example, Latents

    names = [f"p{n}" for n in range(40)]
    tensors = {name: torch.randn(2, 4, 128, 128).half() for name in names}
    save_file(tensors, tmp_path / "latents.safetensors")
    index = {"shard": "latents.safetensors", "role": "target", "h": 128, "w": 128}
    rows = [index | {"sample_id": n, "name": n, "sha256": checksum(tensors[n])} for n in names]
    shards.write(tmp_path / "latents.parquet", rows, LATENT)
    examples = [Example(f"e{n}", "make it red", (), (names[n],), names[n + 1]) for n in range(30)]
    how = {"seed": 0, "steps": 9, "batch": 32, "learning_rate": 1, "warmup_steps": 0, "weight_decay": 0}
    how |= {"gradient_clip": 1, "save_every": 9, "expressive": False, "magd": MAGD, "posterior": "sample"}
    batches = Batches(
        examples,
        Latents(tmp_path / "latents.parquet"),
        tiny_weights().tokens,
        Run(**how, drop={"all": 0, "text": 0}),
    )
    batches[0]
    began = time.process_time()
    assert len(batches[1][0]) == 32
    assert 32 / (time.process_time() - began) > 20


def poison(names):
    return lambda name, tensor: tensor * float("nan") if name in names else tensor


def test_a_broken_latent_is_named_left_out_and_counted(world, capsys):
    world.write_latents(poison(["s2.source_1"]))
    world.train(bad_samples=3, steps=3, warmup_steps=1)
    said = capsys.readouterr().err
    assert "warning: " in said and "tensor s2.source_1 is not finite; its sample is left out" in said
    head, *rows = (world.folder / "out" / "train.csv").read_text().split()
    skipped = [float(row.split(",")[head.split(",").index("skipped")]) for row in rows]
    assert sum(skipped) == 2 and set(skipped) == {0, 1}


def test_too_many_broken_latents_stop_the_training_with_the_state_kept(world):
    world.write_latents(poison(["s2.source_1"]))
    with pytest.raises(
        MadiError, match=r"bad_samples: 1 samples with broken latents, the last in .*s2.source_1.*snakemake"
    ):
        world.train()
    world.write_latents(poison([f"s{n}.target" for n in range(6)]))
    with pytest.raises(MadiError, match="no sample of this batch has whole latents"):
        world.train(bad_samples=100)


def test_counting_goes_on_over_an_interruption(tmp_path, tiny_weights):
    world = World(tmp_path, tiny_weights())
    world.write_latents(poison(["s2.source_1"]))
    with pytest.raises(MadiError, match="time budget"):
        world.train(bad_samples=1, steps=6, minutes=0, batch=6)
    with pytest.raises(MadiError, match="2 samples with broken latents"):
        world.train(bad_samples=1, steps=6, batch=6)


def test_columns_are_told_in_words():
    row = torch.tensor([[3, 0.5, float("nan"), 0.4, 0.3, 0.2, 0, float("nan"), 0.25, 0, 1, 1e-4]], dtype=torch.float64)
    assert len(loop.COLUMNS) == row.shape[1]
    said = loop.describe(row)
    assert said == "step 3, loss 0.500 (unmasked 0.400, edit 0.300, t2i 0.200), 25% of an edit's latents change"
    row[0, loop.COLUMNS.index("changed")] = float("nan")  # no edit among these steps
    assert loop.describe(row) == "step 3, loss 0.500 (unmasked 0.400, edit 0.300, t2i 0.200)"
    row[0, loop.COLUMNS.index("mask_norm")] = 16.94
    assert loop.describe(row).endswith("t2i 0.200), mask tokens of length 16.9")


def test_the_shipped_vae_gives_latents_of_unit_variance():
    """What the thresholds of the edit weights are for."""
    from madi.config import DataSlice
    from madi.data.readers import scenes
    from madi.model.codec import Codec

    job = DataSlice(set="train", name="t", seed=0, size_px=128, source={"reader": "scenes", "edits": 30, "t2i": 0})
    pixels = np.stack([images.decode(row["target"]["bytes"], "target") for row in scenes.read(job)])
    latents = Codec.load("assets/tiny/omnigen").encode(pixels)
    assert latents.std().item() == pytest.approx(1, abs=0.05) and latents.mean().item() == pytest.approx(0, abs=0.1)
