"""One writer at a time for what an unfinished job has made, on any number of hosts that share a file system.

A lease is one small JSON file: who holds it (host, process, job) and a heartbeat that changes while the holder lives.
Clocks of hosts may differ, so that a waiter trusts its own alone: a lease is dead if nothing in it changed for `STALE`
seconds of watching, or if its process is gone from this very host.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from madi.errors import MadiError
from madi.progress import say

NAME = "lease.json"
BEAT, STALE, LOOK = 10.0, 60.0, 1.0  # seconds: between heartbeats; without one; between looks of a waiter


class Lease:
    """The lease in a folder, from `take` until `give_up`. doing: for people; key: what is made, for who waits.

    `before` is the lease that it waited for, None if it did not wait.
    """

    def __init__(self, folder: Path, doing: str = "training this", key: str = ""):
        self.path, self.doing = folder / NAME, doing
        self.before: dict | None = None
        process = psutil.Process()
        self.holder = {"host": socket.gethostname(), "pid": process.pid, "started": process.create_time()}
        self.holder |= {"job": os.environ.get("SLURM_JOB_ID"), "token": uuid.uuid4().hex, "key": key}
        self.beats, self.done = 0, threading.Event()

    def take(self) -> None:
        """Wait until the lease is free or its holder dead, and take it."""
        seen, since, told = None, time.monotonic(), False
        while not self._created():
            held = self.read()
            if held is None:
                continue  # given up just now
            if held != seen:
                self.before = seen = held
                since = time.monotonic()
            if self._dead(held) or time.monotonic() - since > STALE:
                self._displace(held)
                continue
            if not told:
                say(f"{describe(held)} is {self.doing}; waiting until it ends")
                told = True
            time.sleep(LOOK)
        threading.Thread(target=self._beat, daemon=True).start()

    def hold(self) -> None:
        """Errors: MadiError if another process took the lease, as it may after this one was asleep."""
        held = self.read()
        if held is None or held.get("token") != self.holder["token"]:
            by = f" ({describe(held)})" if held else ""
            raise MadiError(f"another process took over{by}", self.path, do="nothing was overwritten; let it go on")

    def give_up(self) -> None:
        """Free the lease, if it is still this one's."""
        self.done.set()
        with contextlib.suppress(MadiError):
            self.hold()
            self.path.unlink(missing_ok=True)

    def read(self) -> dict | None:
        """What the file says; None where there is none. A file that is no lease counts as one of nobody."""
        return _read(self.path)

    def _created(self) -> bool:
        """Whether the lease could be made: linking a whole file to its name is atomic, on network file systems too."""
        self.path.parent.mkdir(parents=True, exist_ok=True)  # a holder that has ended takes the folder with it
        try:
            own = self._written()
            os.link(own, self.path)
            own.unlink()
            return True
        except FileExistsError:
            own.unlink(missing_ok=True)
            return False
        except FileNotFoundError:
            return False

    def _written(self) -> Path:
        own = self.path.with_name(f".lease.{self.holder['token']}")
        own.write_text(json.dumps(self.holder | {"beat": self.beats}))
        return own

    def _displace(self, held: dict) -> None:
        """Take a dead lease away: of several waiters the one that renames it first has done so."""
        aside = self.path.with_name(f".dead.{self.holder['token']}")
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(aside)
            if _read(aside) != held:  # a new holder's, taken by mistake: put it back
                with contextlib.suppress(FileExistsError):
                    os.link(aside, self.path)
            aside.unlink()

    def _dead(self, held: dict) -> bool:
        if held.get("host") != self.holder["host"] or "pid" not in held:
            return False
        try:
            return psutil.Process(held["pid"]).create_time() != held["started"]
        except psutil.NoSuchProcess:
            return True

    def _beat(self) -> None:
        while not self.done.wait(BEAT):
            self.beats += 1
            with contextlib.suppress(OSError, MadiError):
                self.hold()
                os.replace(self._written(), self.path)


def _read(path: Path) -> dict | None:
    try:
        found = json.loads(path.read_text())
        return found if isinstance(found, dict) else {}
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return {}


def describe(held: dict) -> str:
    """`job 17 on node3 (process 412)`."""
    job = f"job {held['job']} on " if held.get("job") else "a process on "
    return f"{job}{held.get('host', 'an unknown host')} (process {held.get('pid', '?')})"


@contextlib.contextmanager
def only_writer(folder: Path, doing: str = "training this", key: str = "") -> Iterator[Lease]:
    """Hold a folder's lease within the block, after waiting for whoever holds it."""
    lease = Lease(folder, doing, key)
    lease.take()
    try:
        yield lease
    finally:
        lease.give_up()
