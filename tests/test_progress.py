import io
import time

import pytest

from madi import progress


def test_heartbeat_tells_the_time_left():
    assert progress.heartbeat("edits", 12, 80, 6.0) == "edits 12/80 15% 0:34 left"
    assert progress.heartbeat("edits", 0, 0, 0.0) == "edits 0/0 100% 0:00 left"
    assert progress.heartbeat("edits", 50, 0, 10.0) == "edits 50 in 0:10, 5.0 a second"


@pytest.mark.parametrize(("seconds", "text"), [(3, "0:03"), (760, "12:40"), (3729, "1:02:09"), (-1, "0:00")])
def test_clock(seconds, text):
    assert progress.clock(seconds) == text


def test_items_pass_and_lines_reach_stderr_and_log(tmp_path, capsys, monkeypatch):
    now = iter(range(0, 1000, 7))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(now))
    log = tmp_path / "logs" / "job.log"
    with progress.log_to(log):
        progress.say("begin")
        assert list(progress.progress(iter(range(5)), 5, "things")) == [0, 1, 2, 3, 4]
    progress.say("after")
    told = log.read_text().splitlines()
    assert told == [
        "begin",
        "things 2/5 40% 0:21 left",
        "things 4/5 80% 0:07 left",
        "things 5/5 done in 0:42, 8.4 s each",
    ]
    assert capsys.readouterr().err.splitlines() == [*told, "after"]


def test_a_terminal_gets_a_bar_and_the_log_gets_lines(tmp_path, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal = Terminal()
    monkeypatch.setattr(progress.sys, "stderr", terminal)
    with progress.log_to(tmp_path / "job.log"):
        list(progress.progress(range(5), 5, "things"))
    assert "things" in terminal.getvalue() and "\r" in terminal.getvalue()
    assert "done in" not in terminal.getvalue()
    assert (tmp_path / "job.log").read_text().startswith("things 5/5 done in")


def test_the_log_is_closed_when_the_job_fails(tmp_path):
    with pytest.raises(RuntimeError), progress.log_to(tmp_path / "job.log"):
        raise RuntimeError
    progress.say("not in the log")
    assert (tmp_path / "job.log").read_text() == ""


def test_work_that_says_nothing_is_reported_as_alive(capsys, monkeypatch):
    monkeypatch.setattr(progress, "QUIET", 0.05)
    with progress.alive("edit photo"):
        time.sleep(0.3)
    said = capsys.readouterr().err.splitlines()
    assert said and all(line.startswith("edit photo: 0:00 so far") for line in said)
    time.sleep(0.1)
    assert not capsys.readouterr().err  # it ends with its block
