"""One writer at a time: the second waits; a dead holder's lease is taken, a living one's never."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from madi import lease
from madi.errors import MadiError
from madi.lease import Lease, only_writer


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(lease, "BEAT", 0.05)
    monkeypatch.setattr(lease, "STALE", 1.0)
    monkeypatch.setattr(lease, "LOOK", 0.02)


def test_the_second_waits_until_the_first_has_ended(tmp_path, capsys):
    order = []

    def second():
        with only_writer(tmp_path):
            order.append("second")

    with only_writer(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(1.5)  # longer than a lease lives without a heartbeat
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]
    said = capsys.readouterr().err
    assert f"a process on {socket.gethostname()} (process {os.getpid()}) is training this; waiting" in said
    assert list(tmp_path.iterdir()) == []


def written(folder, **facts):
    folder.mkdir(exist_ok=True)
    (folder / "lease.json").write_text(json.dumps(facts))


def test_a_dead_process_of_this_host_is_displaced_at_once(tmp_path):
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    written(tmp_path, host=socket.gethostname(), pid=gone.pid, started=0, token="x", beat=3)
    began = time.monotonic()
    with only_writer(tmp_path):
        assert time.monotonic() - began < 0.5


def test_a_lease_of_another_host_lives_as_long_as_its_heart_beats(tmp_path):
    facts = {"host": "elsewhere", "pid": 1, "started": 0, "token": "x", "job": "17"}
    written(tmp_path, **facts, beat=0)
    stop = threading.Event()

    def beat():
        for number in range(1, 40):
            if stop.wait(0.05):
                return
            written(tmp_path, **facts, beat=number)

    thread = threading.Thread(target=beat)
    began = time.monotonic()
    thread.start()
    with only_writer(tmp_path):
        taken = time.monotonic() - began
        stop.set()
        thread.join()
    assert taken > 2.5  # two seconds of heartbeats, then one without


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_torn_lease_is_nobodys_and_goes_when_nothing_changes(tmp_path, text):
    (tmp_path / "lease.json").write_text(text)
    began = time.monotonic()
    with only_writer(tmp_path):
        assert time.monotonic() - began >= 1


def test_of_many_waiters_one_at_a_time_gets_it(tmp_path):
    written(tmp_path, host="elsewhere", pid=1, token="x", beat=0)
    inside, most = [], []

    def one(number):
        with only_writer(tmp_path):
            inside.append(number)
            most.append(len(inside))
            time.sleep(0.05)
            inside.remove(number)

    threads = [threading.Thread(target=one, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert most == [1] * 6


def test_a_sleeper_whose_lease_was_taken_writes_nothing(tmp_path):
    mine = Lease(tmp_path)
    mine.take()
    mine.done.set()  # asleep: no heartbeat
    with only_writer(tmp_path / "."):
        with pytest.raises(MadiError, match="another process took over .*nothing was overwritten"):
            mine.hold()
        mine.give_up()
        assert (tmp_path / "lease.json").exists()


def test_a_job_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_JOB_ID", "412")
    assert lease.describe(Lease(tmp_path).holder).startswith(f"job 412 on {socket.gethostname()} (process ")
