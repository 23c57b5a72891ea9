"""Several processes give the single one's training, whether each holds all weights or a part; any number goes on."""

import json
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from worlds import MAGD

from madi.errors import MadiError
from madi.train.team import Team

HOW = {"magd": MAGD | {"probability": 0.5}, "expressive": True, "batch": 5, "micro_tokens": 260, "ema": 0.5}


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
ACCELERATE = ["-m", "accelerate.commands.accelerate_cli", "launch", "--multi_gpu", "--num_machines=1"]
ACCELERATE += ["--mixed_precision=no", "--dynamo_backend=no", "--num_processes"]  # the config says cpu: no GPU is used


def launched(world, name, processes, more=(), launcher=TORCHRUN, **changes):
    """The training from the command line, as that many processes over gloo."""
    words = [sys.executable, *launcher[:-1], f"{launcher[-1]}={processes}", "-m", "madi"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    given = [*words, *world.words(name, more, **changes)]
    done = subprocess.run(given, env=environment, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def weights(world, name):
    return load_file(world.folder / name / "weights" / "transformer" / "diffusion_pytorch_model.safetensors")


@pytest.fixture
def alone(world):
    world.train("alone", **HOW)
    return world.losses("alone"), weights(world, "alone")


@pytest.mark.parametrize(("shard", "launcher"), [(False, TORCHRUN), (True, ACCELERATE)], ids=["ddp", "fsdp"])
def test_two_processes_give_the_single_ones_losses_and_weights(world, alone, shard, launcher):
    code, said = launched(world, "two", 2, launcher=launcher, shard=shard, **HOW)
    assert code == 0, said[-3000:]
    assert world.losses("two") == pytest.approx(alone[0], rel=1e-5)
    for name, value in weights(world, "two").items():
        assert torch.allclose(value, alone[1][name], atol=2e-4), name  # Adam divides small differences by smaller ones
    assert said.count("train r 6/6 done") == 1  # one speaks
    assert json.loads((world.folder / "two" / "run.json").read_text())["processes"] == 2


@pytest.mark.parametrize(("first", "then"), [(2, 1), pytest.param(1, 2, marks=pytest.mark.slow)])
def test_another_number_of_processes_goes_on(world, alone, first, then):
    code, said = launched(world, "moved", first, ["--budget-minutes", "0"], shard=True, **HOW)
    assert code != 0 and "the time budget is used up after step 1 of 6" in said
    assert world.states() == ["step-0000001.safetensors"]
    code, said = launched(world, "moved", then, shard=True, **HOW)
    assert code == 0 and "goes on after step 1 of 6" in said, said[-3000:]
    assert world.losses("moved") == pytest.approx(alone[0], rel=1e-5)


@pytest.mark.slow
def test_half_precision_and_adapters_on_two_processes(world):
    how = HOW | {"precision": "bfloat16", "checkpoint_blocks": True, "lora": {"rank": 2, "alpha": 4}}
    world.train("alone", **how)
    for shard in (False, True):
        code, said = launched(world, "two", 2, shard=shard, **how)
        assert code == 0, said[-3000:]
        assert world.losses("two") == pytest.approx(world.losses("alone"), rel=0.02)


@pytest.mark.slow
def test_validation_on_divided_weights(world, tmp_path):
    from madi import images, shards
    from madi.records import SAMPLE

    pixels = draws_of_pixels()
    row = {"sample_id": "v", "set": "validation", "split": "v", "group_id": "v", "instruction": "paint it"}
    row |= {"sources": [images.picture(pixels)], "target": images.picture(pixels), "phash": "", "sha256": ""}
    row |= {"origin": {"file": "", "row": 0, "revision": ""}}
    shards.write(tmp_path / "validation.parquet", [row], SAMPLE)
    how = HOW | {"steps": 2, "validate_edits": {"every": 1, "samples": 1, "steps": 2}}
    code, said = launched(world, "two", 2, ["--validation", str(tmp_path / "validation.parquet")], shard=True, **how)
    assert code == 0, said[-3000:]
    world.train("one", files=world.files("one", validation=tmp_path / "validation.parquet"), **how)
    for name in ("step_0000001.jpg", "step_0000002.jpg"):
        two, one = (
            np.asarray(Image.open(world.folder / run / "validation" / name)).astype(float) for run in ("two", "one")
        )
        assert abs(two - one).max() < 16 and two.std() > 20  # the same edits, by weights that nobody holds whole


def draws_of_pixels():
    return (torch.rand(32, 32, 3, generator=torch.Generator().manual_seed(0)) * 255).byte().numpy()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line():
    with pytest.raises(MadiError, match="no CUDA device here; expected a machine with a GPU; take device cpu"):
        Team("cuda", False)


SLOW_DISK = """
import time
from madi.train import state
write = state.write
state.write = lambda *given: (time.sleep(40), write(*given))
import sys
from madi.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("stop", ["budget", "signal"])
def test_a_state_that_takes_long_to_write_is_written_before_anybody_leaves(world, tmp_path, stop):
    """Longer than the thirty seconds after which torchrun would end the rest."""
    (tmp_path / "slow_disk.py").write_text(SLOW_DISK)
    words = world.words("two", ["--budget-minutes", "0"] if stop == "budget" else [], **HOW | {"steps": 5000})
    start = [sys.executable, *TORCHRUN[:-1], "--shutdown-timeout=300", f"{TORCHRUN[-1]}=2", tmp_path / "slow_disk.py"]
    process = subprocess.Popen([*map(str, start), *words], stderr=subprocess.PIPE, text=True)
    if stop == "signal":
        while not list((world.folder / "state").glob("*/lease.json")):
            time.sleep(0.1)
        time.sleep(6)
        process.terminate()
    said = process.communicate(timeout=200)[1]
    assert process.returncode != 0 and world.states(), said[-3000:]
    last = int(world.states()[-1][5:12])
    why = "asked to stop" if stop == "signal" else "the time budget is used up"
    assert f"error: r: {why} after step {last} of 5000" in said and said.count("error: ") == 1


@pytest.mark.slow
def test_two_nodes_that_meet_by_address_are_one_training(world, alone):
    """Two launchers of one process each, as on two machines."""
    meet = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-endpoint=localhost:29577"]
    words = [sys.executable, "-m", "torch.distributed.run", *meet, "-m", "madi", *world.words("two", shard=True, **HOW)]
    nodes = [subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"}) for _ in range(2)]
    assert [node.wait(timeout=200) for node in nodes] == [0, 0]
    assert world.losses("two") == pytest.approx(alone[0], rel=1e-5)


def test_processes_that_see_different_files_stop_together(monkeypatch):
    team = Team("cpu", False)
    team.agree(3, "anything")  # alone: nobody to differ from
    monkeypatch.setattr(Team, "count", 2)
    monkeypatch.setattr(Team, "sum", lambda self, values: torch.tensor([7.0, 25.0]))  # 3 and 4
    with pytest.raises(MadiError, match="processes differ in the samples"):
        team.agree(3, "the samples")
    monkeypatch.setattr(Team, "sum", lambda self, values: torch.tensor([8.0, 32.0]))  # 4 and 4
    team.agree(4, "the samples")
