"""States on disk: the newest whole one goes on, older ones are pruned, a full disk costs nothing."""

import os
import resource
import signal

import pytest
import torch
from worlds import MAGD, World, settings

from madi.errors import MadiError
from madi.train import state
from madi.train.average import Average
from madi.train.trainee import Trainee, optimizer_of


def trained(tiny_weights, steps=2, seed=0):
    """A trainee, its optimizer and average after a few steps of anything."""
    trainee = Trainee(tiny_weights().packed, settings(magd=MAGD))
    optimizer, average = optimizer_of(trainee, settings()), Average(trainee, 0.9)
    torch.manual_seed(seed)
    for _ in range(steps):
        for parameter in trainee.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizer.step()
        average.update()
    return trainee, optimizer, average


def log(steps):
    return state.Progress(torch.arange(float(steps), dtype=torch.float64)[:, None], 10.0 * steps)


def moments(optimizer):
    return [value for group in optimizer.state_dict()["state"].values() for value in group.values()]


def test_a_state_puts_everything_back(tiny_weights, tmp_path):
    one, other = trained(tiny_weights), trained(tiny_weights, 1, seed=5)
    state.write(tmp_path, state.gathered(*one, log(2)), 2)
    found = state.load(tmp_path, *other)
    assert torch.equal(found.log, log(2).log) and found.seconds == 20
    assert all(torch.equal(a, b) for a, b in zip(one[0].parameters(), other[0].parameters()))
    assert all(torch.equal(a, b) for a, b in zip(moments(one[1]), moments(other[1]), strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one[2].values, other[2].values)) and other[2].count == 2


def test_only_the_newest_are_kept(tiny_weights, tmp_path):
    one = trained(tiny_weights)
    for steps in (2, 4, 10, 6):
        state.write(tmp_path, state.gathered(*one, log(steps)), 2)
    assert [path.name for path in state.files(tmp_path)] == ["step-0000010.safetensors", "step-0000006.safetensors"]


@pytest.mark.parametrize("damage", [b"", b"nothing", "cut"])
def test_a_half_written_state_is_skipped_for_the_one_before(tiny_weights, tmp_path, capsys, damage):
    one = trained(tiny_weights)
    for steps in (2, 4):
        state.write(tmp_path, state.gathered(*one, log(steps)), 2)
    newest = state.files(tmp_path)[0]
    newest.write_bytes(newest.read_bytes()[:-100] if damage == "cut" else damage)
    assert len(state.load(tmp_path, *one).log) == 2
    said = capsys.readouterr().err
    assert f"warning: {newest}: not a whole state" in said and "the one before it is taken" in said


def test_no_state_is_none(tiny_weights, tmp_path):
    assert state.load(tmp_path, *trained(tiny_weights)) is None


def test_a_full_disk_is_told_and_the_last_state_stays(tiny_weights, tmp_path):
    """A real write that fails in the middle: files may grow to 100 kB and no further."""
    one = trained(tiny_weights)
    state.write(tmp_path, state.gathered(*one, log(2)), 2)
    before, limits = state.files(tmp_path), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(MadiError, match=r"step-0000004.*cannot be written.*make room.*newest state \(step-0000002"):
            state.write(tmp_path, state.gathered(*one, log(4)), 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert state.files(tmp_path) == before and sorted(os.listdir(tmp_path)) == ["step-0000002.safetensors"]


def test_adapters_make_small_states(tiny_weights, tmp_path):
    sizes = []
    for more in ({}, {"lora": {"rank": 2, "alpha": 4}}):
        trainee = Trainee(tiny_weights().packed, settings(**more))
        tensors = state.gathered(trainee, optimizer_of(trainee, settings()), None, log(1))
        sizes.append(sum(value.numel() for value in tensors.values()))
    assert sizes[1] < sizes[0] / 10


def test_a_run_goes_on_from_the_state_before_a_broken_one(tmp_path, tiny_weights, capsys):
    world = World(tmp_path, tiny_weights())
    whole = world.train("whole", steps=5)
    with pytest.raises(MadiError, match="the time budget is used up after step 1 of 5; run it again"):
        world.train("cut", minutes=0, steps=5)
    assert world.states() == ["step-0000001.safetensors"]
    (folder,) = (world.folder / "state").iterdir()
    (folder / "step-0000003.safetensors").write_bytes(b"torn")
    assert world.train("cut", steps=5) == whole
    assert "goes on after step 1 of 5" in capsys.readouterr().err
