"""How far a job is: a bar on a terminal, a line every ten seconds elsewhere; both also reach the job's log file."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

from madi.errors import MadiError

HEARTBEAT = 10.0  # seconds between lines where there is no terminal
QUIET = 30.0  # seconds without a line after which `alive` writes one
_log: TextIO | None = None
_last = time.perf_counter()  # of the last line


@contextlib.contextmanager
def log_to(path: Path | str | None) -> Iterator[None]:
    """Within the block, what is said goes to this file as well as to stderr; None: to stderr alone.

    Of several processes of one job (`torchrun` numbers them) the first alone writes the file.
    """
    global _log
    if path is None or os.environ.get("RANK", "0") != "0":
        yield
        return
    before = _log
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        file = open(path, "w", encoding="utf-8")  # noqa: SIM115
    except (OSError, ValueError) as fault:
        what = f"cannot be written ({fault})"
        raise MadiError(what, f"--log {path}", "a file, in a folder that can be written to") from None
    _log = file
    try:
        yield
    finally:
        _log = before
        with contextlib.suppress(OSError):  # a full disk: what could not be written was said on stderr
            file.close()


def say(line: str) -> None:
    """One line to stderr and to the log."""
    global _last
    _last = time.perf_counter()
    print(line, file=sys.stderr, flush=True)
    _note(line)


def _note(line: str) -> None:
    global _log
    if _log is None:
        return
    try:
        print(line, file=_log, flush=True)
    except OSError as fault:  # a log is no reason to stop a job
        name, _log = _log.name, None
        print(f"nothing more is written to {name}: {fault}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def alive(label: str) -> Iterator[None]:
    """Within the block, says `label: 1:30 so far` whenever nothing else was said for `QUIET` seconds.

    For work in steps that may each take minutes, as a large model's on a CPU.
    """
    start, done = time.perf_counter(), threading.Event()

    def watch() -> None:
        while not done.wait(min(1.0, QUIET)):
            if time.perf_counter() - _last >= QUIET:
                say(f"{label}: {clock(time.perf_counter() - start)} so far")

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()


def progress(items: Iterable, total: int, label: str, note: Callable[[], str] = str) -> Iterator:
    """Hand on the items and tell how many of `total` are done: `label 12/80 15% 0:03 left`, at the end the rate.

    note: what else there is to say, asked whenever a line is said.
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        bar = items = tqdm(items, total=total, desc=label, file=sys.stderr, leave=False)
        tell = _note
    else:
        bar, tell = None, say
    start = last = time.monotonic()
    done = 0
    for item in items:
        yield item
        done += 1
        now = time.monotonic()
        if bar is not None:
            bar.set_postfix_str(note(), refresh=False)
        if now - last >= HEARTBEAT:
            tell(f"{heartbeat(label, done, total, now - start)} {note()}".rstrip())
            last = now
    seconds = time.monotonic() - start
    tell(f"{label} {done}/{total or done} done in {clock(seconds)}{rate(done, seconds)}")


def heartbeat(label: str, done: int, total: int, seconds: float) -> str:
    """The line said after `seconds`, with the time left if the rest goes as fast; total 0: nobody knows how many."""
    if not total and done:
        return f"{label} {done} in {clock(seconds)}{rate(done, seconds)}"
    share = done / total if total else 1.0
    left = seconds * (total - done) / done if done else 0.0
    return f"{label} {done}/{total} {share:.0%} {clock(left)} left"


def rate(done: int, seconds: float) -> str:
    """`, 2.5 a second` or `, 12 s each`; nothing where it was too quick to tell."""
    if not done or seconds < 1:
        return ""
    return f", {done / seconds:.1f} a second" if done > seconds else f", {seconds / done:.1f} s each"


def clock(seconds: float) -> str:
    """`0:03`, `12:40` or `1:02:09`."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
