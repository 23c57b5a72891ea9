"""The workflow through a real SLURM: the same tables as without one, whatever happens to a job, a node or Snakemake."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import Workspace

QUICK = [sys.executable, str(Path(__file__).parent / "quick_snakemake.py")]
RUN = "ft_ep"
WEIGHTS = f"results/smoke/runs/{RUN}/weights.json"
# the cluster of these tests is one machine: nobody waits for a shared file system, nor for a status
HASTE = ("--latency-wait", "10", "--slurm-init-seconds-before-status-checks", "1")


class Going:
    """`snakemake --profile slurm` in a workspace, with its output in a file. A SIGTERM would make it wait for its
    jobs, so that what goes on for too long is killed."""

    def __init__(self, cluster, workspace: Workspace, *arguments: str, name: str = "snakemake"):
        words = ["timeout", "-k", "5", "900", *QUICK, "--profile", "slurm", "--configfile", "config/smoke.yaml"]
        self.said = workspace.folder / f"{name}.out"
        with open(self.said, "w") as file:
            self.process = subprocess.Popen(
                [*words, *HASTE, *arguments],
                cwd=workspace.folder,
                env=cluster.environ,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def end(self) -> str:
        """What it said, once it has ended well."""
        code = self.process.wait()
        assert code == 0, self.said.read_text()[-8000:]
        return self.said.read_text()


@pytest.fixture
def going(cluster):
    """Starts Snakemakes, and lets none outlive its test."""
    started = []

    def start(*arguments, **options) -> Going:
        started.append(Going(cluster, *arguments, **options))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()
    cluster.call("scancel", "--state=RUNNING")
    cluster.call("scancel", "--state=PENDING")
    cluster.until(lambda: not cluster.out("squeue", "-h"))


@pytest.fixture
def untrained(smoke, tmp_path) -> Workspace:
    """The finished run without one training."""
    workspace = smoke.copy(tmp_path / "copy")
    for name in ("weights.json", "train.csv"):
        (workspace.results / f"runs/{RUN}/{name}").unlink()
    return workspace


def training(cluster, workspace, after: tuple[str, ...] = ()) -> tuple[str, list[int]]:
    """(SLURM's id, processes) of a training, stopped in its tracks once it has begun; not one of the jobs `after`."""
    found = []

    def begun() -> bool:
        jobs = [job for job, state, what in cluster.jobs() if "train_run" in what and state == "RUNNING"]
        lease = list((workspace.results / "state").glob("**/lease.json"))
        for job in jobs:
            if job not in after and lease and (processes := cluster.processes(job, "train run")):
                found[:] = [job, processes]
        return bool(found)

    cluster.until(begun, seconds=120)
    for process in found[1]:
        os.kill(process, signal.SIGSTOP)
    return found[0], found[1]


def environment(process: int) -> list[str]:
    return Path(f"/proc/{process}/environ").read_bytes().decode().split("\0")


def wake(processes: list[int]) -> None:
    for process in processes:
        os.kill(process, signal.SIGCONT)


def assert_all_is_as_without_slurm(workspace: Workspace, smoke: Workspace) -> None:
    assert smoke.differences(workspace) == []
    assert workspace.plan() == set()


def test_the_same_tables_as_without_slurm(cluster, going, smoke, tmp_path):
    workspace = Workspace.new(tmp_path)
    said = going(workspace).end()
    assert len(smoke.kept()) > 60
    assert_all_is_as_without_slurm(workspace, smoke)
    ran = [what for _, state, what in cluster.jobs() if state == "COMPLETED"]
    for rule in ("train_run", "edit_shard", "score_shard"):
        assert sum(rule in what for what in ran) == 2
    assert not any("settle" in what for what in ran)  # a shell line is made where Snakemake is
    assert sum("judge" in what for what in ran) == 1  # both edit jobs' answers in one job
    logs = sorted((workspace.folder / "results/slurm").glob("rule_train_run/*/*.log"))
    assert len(logs) == 2 and "failed" not in said


def test_a_gpu_is_asked_for_and_given(cluster, tmp_path):
    """A rule of four GPUs by the profile: in the partition that has some, on one node, called once."""
    (tmp_path / "Snakefile").write_text(
        'rule four:\n    output: "four.txt"\n    resources: gpu=4, mem_mb=1000, runtime=5\n'
        "    shell: \"echo $(squeue -h -j $SLURM_JOB_ID -o '%P %D') $CUDA_VISIBLE_DEVICES >> {output}\"\n"
    )
    Path(tmp_path / "config").symlink_to(Path(__file__).parent.parent.parent / "config")
    words = [*QUICK, "--profile", "config/slurm", *HASTE]
    done = subprocess.run(words, cwd=tmp_path, env=cluster.environ, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "four.txt").read_text() == "gpu 1 0,1,2,3\n"


def test_a_cancelled_job_is_tried_again(cluster, going, untrained, smoke):
    running = going(untrained, WEIGHTS)
    job, processes = training(cluster, untrained)
    assert all("HF_HUB_OFFLINE=1" in environment(process) for process in processes)
    cluster.call("scancel", job)
    wake(processes)
    assert f"SLURM-job '{job}' failed" in running.end()
    assert cluster.state(job) == "CANCELLED"
    assert_all_is_as_without_slurm(untrained, smoke)


def test_a_job_over_its_time_is_tried_again(cluster, going, untrained, smoke):
    running = going(untrained, "--set-resources", "train_run:runtime=1", "--", WEIGHTS)
    job, _ = training(cluster, untrained)  # and stays there, beyond its minute
    assert f"SLURM-job '{job}' failed" in running.end()
    assert cluster.state(job) == "TIMEOUT"
    assert_all_is_as_without_slurm(untrained, smoke)


def test_a_job_outlives_its_node(cluster, going, untrained, smoke):
    running = going(untrained, WEIGHTS)
    job, processes = training(cluster, untrained)
    node = cluster.out("squeue", "-h", "-j", job, "-o", "%N").strip()
    cluster.call("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    wake(processes)
    try:
        assert f"'{job}' failed due to a node failure" in running.end()
    finally:
        cluster.call("scontrol", "update", f"NodeName={node}", "State=RESUME")
    assert cluster.state(job) == "NODE_FAIL"
    assert_all_is_as_without_slurm(untrained, smoke)


def test_a_second_snakemake_waits_for_the_job_of_a_killed_one(cluster, going, untrained, smoke):
    first = going(untrained, WEIGHTS)
    job, processes = training(cluster, untrained)
    first.kill()
    refused = going(untrained, WEIGHTS, name="refused")
    assert refused.process.wait() != 0 and "LockException" in refused.said.read_text()
    going(untrained, "--unlock", name="unlock").end()
    second = going(untrained, WEIGHTS, name="second")
    told = untrained.folder / "results/slurm/rule_train_run" / RUN

    def waiting() -> bool:
        return any("is training this; waiting" in log.read_text() for log in told.glob("*.log"))

    cluster.until(waiting, seconds=120)
    assert cluster.state(job) == "RUNNING"
    wake(processes)
    second.end()
    assert cluster.state(job) == "COMPLETED"
    assert_all_is_as_without_slurm(untrained, smoke)
