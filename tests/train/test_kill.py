"""`kill -9` at any moment, then again: the weights of a training that nobody killed, bit for bit."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest
from worlds import MAGD

HOW = {"steps": 60, "save_every": 3, "magd": MAGD, "expressive": True, "ema": 0.9, "micro_tokens": 200}


def started(world, name, **changes):
    words = [sys.executable, "-m", "madi", *world.words(name, **HOW | changes)]
    return subprocess.Popen(words, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)


def killed(world, name, after_states: int, delay: float, **changes) -> bool:
    """Whether the training was still going `delay` seconds after it had written a state past `after_states`."""
    process = started(world, name, **changes)
    while process.poll() is None and newest(world) <= after_states:
        time.sleep(0.01)
    time.sleep(delay)
    alive = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return alive


def newest(world) -> int:
    return max([int(name[5:12]) for name in world.states()], default=0)


def torture(world, kills: int, seed: int, **changes) -> int:
    """Kill the training that many times at moments drawn from the seed, then let it finish; how often it was alive."""
    rng, alive = random.Random(seed), 0
    for _ in range(kills):
        alive += killed(world, "cut", newest(world), rng.uniform(0, 0.25), **changes)
    process = started(world, "cut", **changes)
    assert process.wait() == 0, process.stderr.read()
    return alive


def test_a_killed_training_ends_in_the_same_bits(world):
    whole = world.train("whole", **HOW)
    assert torture(world, 2, seed=0) > 0
    assert world.made("cut") == whole
    assert list((world.folder / "state").iterdir()) == []


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(3))
def test_twenty_kills_in_a_row_end_in_the_same_bits(world, seed):
    whole = world.train("whole", **HOW | {"steps": 400})
    assert torture(world, 20, seed, steps=400) > 10
    assert world.made("cut") == whole


def test_a_polite_stop_keeps_the_state_and_says_how_to_go_on(world):
    process = started(world, "cut", steps=2000, save_every=2000)
    while not any((world.folder / "state").glob("*/lease.json")):
        time.sleep(0.02)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    said = process.stderr.read()
    assert process.wait() == 75 and "error: r: asked to stop after step" in said and "run it again: it goes on" in said
    assert len(world.states()) == 1
    assert not list((world.folder / "state").glob("*/lease.json"))


def test_two_at_once_are_one_after_the_other(world):
    """The second waits for the first and finds its work done or goes on from it; both end in the same bits."""
    whole = world.train("whole", **HOW)
    both = [started(world, "cut") for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sum("is training this; waiting until it ends" in one for one in said) == 1
    assert sum("train r 60/60 done" in one for one in said) == 1  # the work is done once
    assert world.made("cut") == whole
