"""A SLURM of one's own on this machine, thrown away after the tests: a controller, two nodes, two partitions.

Everything lies in one folder with a short path, since a socket's name may hold some hundred characters only. Nothing is
written to /etc, no accounting runs, and the daemons are those of whoever runs the tests.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
NODES = ("n1", "n2")
GPUS = 4  # a node, none of them real
SBIN = "/usr/sbin:/sbin"
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.sock
CredType=cred/munge
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
# neither control groups nor binding: a container has none to give
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,bf_interval=2,sched_interval=2,sched_min_interval=0
ReturnToService=2
JobRequeue=0
KillWait=3
# a finished job must be seen by squeue after the next look at it
MinJobAge=600
AccountingStorageType=accounting_storage/none
GresTypes=gpu
# the nodes are as large as they say, whatever this machine is
SlurmdParameters=config_overrides
"""
NODE = (
    "NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=16 CoresPerSocket=16 RealMemory=128000"
    " Gres=gpu:fake:{gpus} State=UNKNOWN\n"
)
PARTITION = "PartitionName={name} Nodes={nodes} Default={default} MaxTime=1-00:00:00 State=UP\n"


def missing() -> str | None:
    """The daemon that is not installed here, if one is not."""
    return next((name for name in DAEMONS if not shutil.which(name, path=f"{os.environ['PATH']}:{SBIN}")), None)


class Cluster:
    """A running SLURM, until `stop`."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm", dir="/tmp"))
        self.folder.chmod(0o755)  # munge's clients must reach its socket
        self.host = socket.gethostname().split(".")[0]
        self.environ = os.environ | {
            "SLURM_CONF": f"{self.folder}/slurm.conf",
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}:{SBIN}",
            # a job starts Python three times: compiling its modules anew each time would take most of it
            "PYTHONPYCACHEPREFIX": f"{self.folder}/pycache",
        }
        self.environ.pop("PYTHONDONTWRITEBYTECODE", None)

    def start(self) -> Cluster:
        """Errors: AssertionError with the daemons' logs where they do not come up."""
        self._write()
        try:
            self._munge()
            self._daemon("slurmctld")
            for name in NODES:
                self._daemon("slurmd", "-N", name)
            self.until(lambda: self.out("sinfo", "-h", "-N", "-p", "cpu", "-t", "idle", "-o", "%N").split() == [*NODES])
        except BaseException:
            logs = "\n".join(log.read_text()[-2000:] for log in self.folder.glob("*.log"))
            self.stop()
            print(logs, file=sys.stderr)
            raise
        return self

    def stop(self) -> None:
        """End the jobs and the daemons, each by its own id, and remove the folder."""
        with contextlib.suppress(subprocess.SubprocessError):
            self.call("scancel", "--user", getpass.getuser())
            self.until(lambda: not self.out("squeue", "-h"), seconds=20)
        for name in (*(f"slurmd.{node}" for node in NODES), "slurmctld", "munged"):
            with contextlib.suppress(OSError, ValueError):
                end(int((self.folder / f"{name}.pid").read_text()))
        for process in self._left():
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _left(self) -> Iterator[int]:
        """What still runs of this SLURM's jobs: a node that is said to be down ends none of its own."""
        mark = f"SLURM_CONF={self.folder}/slurm.conf".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (folder / "environ").read_bytes().split(b"\0"):
                    yield int(folder.name)

    def call(self, *words: str) -> subprocess.CompletedProcess:
        return subprocess.run(words, env=self.environ, capture_output=True, text=True, timeout=30)

    def out(self, *words: str) -> str:
        return self.call(*words).stdout

    def until(self, true, seconds: float = 60) -> None:
        """Wait until something is so."""
        end_of_patience = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < end_of_patience, "this did not come to be"
            time.sleep(0.2)

    def jobs(self) -> list[tuple[str, str, str]]:
        """(id, state, what Snakemake calls it) of all jobs so far."""
        lines = self.out("squeue", "-h", "--states=all", "--sort=i", "-o", "%i|%T|%k").splitlines()
        return [tuple(line.split("|")) for line in lines]

    def state(self, job: str) -> str:
        return next(state for number, state, _ in self.jobs() if number == job)

    def processes(self, job: str, words: str) -> list[int]:
        """Processes of a job that were called with these words."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                called = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                own = f"SLURM_JOB_ID={job}".encode() in (folder / "environ").read_bytes().split(b"\0")
                if own and words in called and "snakemake" not in called and "bash -c" not in called:
                    found.append(int(folder.name))
        return found

    def _write(self) -> None:
        for name in ("bin", "state", *(f"spool.{node}" for node in NODES)):
            (self.folder / name).mkdir()
        devices = [self._device(f"{self.folder}/gpu{number}") for number in range(GPUS)]
        controller, *ports = free_ports(1 + len(NODES))
        text = CONFIG.format(host=self.host, port=controller, folder=self.folder, user=getpass.getuser())
        for name, port in zip(NODES, ports):
            text += NODE.format(name=name, host=self.host, port=port, gpus=GPUS)
        for name in ("cpu", "gpu"):
            text += PARTITION.format(name=name, nodes=",".join(NODES), default="YES" if name == "cpu" else "NO")
        (self.folder / "slurm.conf").write_text(text)
        gpus = "".join(f"NodeName={','.join(NODES)} Name=gpu Type=fake File={device}\n" for device in devices)
        (self.folder / "gres.conf").write_text(gpus)
        # Snakemake's plugin takes SLURM_CONF away before it calls srun within a job: this gives it back
        for name in ("srun", "squeue", "scontrol"):
            shim = self.folder / "bin" / name
            shim.write_text(f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {shutil.which(name)} "$@"\n')
            shim.chmod(0o755)

    def _device(self, path: str) -> str:
        """A file for a GPU: a device, as slurmd wants; who may make none has to do with a plain one."""
        try:
            os.mknod(path, 0o20666, os.makedev(1, 3))
        except PermissionError:
            Path(path).touch()
        return path

    def _munge(self) -> None:
        (self.folder / "munge.key").write_bytes(secrets.token_bytes(1024))
        (self.folder / "munge.key").chmod(0o400)
        names = {"key-file": "munge.key", "socket": "munge.sock", "pid-file": "munged.pid", "log-file": "munged.log"}
        names["seed-file"] = "munge.seed"
        self._run("munged", *(f"--{option}={self.folder}/{name}" for option, name in names.items()))

    def _daemon(self, name: str, *options: str) -> None:
        self._run(name, "-c", *options)

    def _run(self, *words: str) -> None:
        done = subprocess.run(words, env=self.environ, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30)
        assert done.returncode == 0, done.stderr.decode()


def end(process: int) -> None:
    """Ask a process to end, and make it after ten seconds."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        os.kill(process, how)
        for _ in range(100):
            time.sleep(0.1)
            os.kill(process, 0)  # an OSError once it is gone


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
