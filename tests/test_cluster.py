"""A workflow through SLURM says in one line what it lacks, before Snakemake starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import Workspace

from madi import cluster
from madi.errors import MadiError

ROOT = Path(__file__).parent.parent
PROFILE = ["--profile", str(ROOT / "config/slurm")]


@pytest.fixture
def nowhere(tmp_path):
    """A PATH without SLURM."""
    return {"PATH": str(tmp_path)}


@pytest.fixture
def login(tmp_path):
    """A PATH with an `sbatch`."""
    (tmp_path / "sbatch").write_text("#!/bin/sh\n")
    (tmp_path / "sbatch").chmod(0o755)
    return {"PATH": str(tmp_path)}


@pytest.mark.parametrize(
    ("arguments", "more"),
    [
        (PROFILE, {}),
        ([f"--profile={PROFILE[1]}", "--cores", "2"], {}),
        (["--executor", "slurm", "-j1"], {}),
        (["-e", "slurm"], {}),
        (["-eslurm"], {}),
        (["--executor=slurm", "--config", "name=x"], {}),
        ([], {"SNAKEMAKE_PROFILE": PROFILE[1]}),
    ],
)
def test_without_sbatch_a_run_through_slurm_is_one_line(nowhere, login, arguments, more, monkeypatch):
    monkeypatch.chdir(ROOT)
    cluster.check(arguments, False, login | more)
    (Path(login["PATH"]) / "sbatch").unlink()
    with pytest.raises(MadiError, match="sbatch: no such command; expected SLURM's commands in PATH; run on a login"):
        cluster.check(arguments, False, nowhere | more)
    cluster.check(arguments, True, nowhere | more)  # a dry run submits nothing


@pytest.mark.parametrize(
    "arguments", [[], ["--cores", "2"], ["--executor", "local"], [*PROFILE, "--executor", "local"]]
)
def test_a_run_on_this_machine_needs_no_sbatch(nowhere, arguments):
    cluster.check(arguments, False, nowhere)


BROKEN = {
    "partitions: {cpu: {max_runtim: 1440}}": "partitions.cpu.max_runtim: unknown key",
    "partitions: {cpu: {max_mem: 5}}": "partitions.cpu.max_mem: unknown key",
    "partitions: {cpu: {max_runtime: soon}}": "partitions.cpu.max_runtime: found 'soon'",
    "partitions: {cpu: {max_threads: many}}": "partitions.cpu.max_threads: found 'many'",
    "partitions: {cpu: {max_gpu: -1}}": "partitions.cpu.max_gpu: found -1",
    "partitions: {cpu: {max_gpu: .nan}}": "partitions.cpu.max_gpu: found nan",
    "partitions: {cpu: 5}": "partitions.cpu: found 5",
    "partitions: {cpu: }": "partitions.cpu: found",
    "partitions: [cpu]": "partitions: found",
    "partitions: {}": "partitions: found",
    "{}": "partitions: this key is missing",
    "partition: {cpu: {}}": "partition: unknown key",
    "[cpu]": "a YAML mapping",
    "partitions: {cpu: {": "broken YAML",
    "partitions: {'a; touch x': {}}": "found the key",
    'partitions: {"c\' -o x": {}}': "found the key",
    "partitions: {'': {}}": "found the key",
    "partitions: {-x: {}}": "found the key",
    "partitions: {cpu: {cluster: $(x)}}": "partitions.cpu.cluster",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_slip_in_the_partitions_is_one_line_with_its_key(login, tmp_path, text):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(MadiError) as fault:
        cluster.check(["--executor", "slurm", "--slurm-partition-config", str(tmp_path / "p.yaml")], True, login)
    assert BROKEN[text] in str(fault.value) and "p.yaml" in str(fault.value) and "\n" not in str(fault.value)


def test_partitions_that_are_not_there_are_named(login):
    with pytest.raises(MadiError, match="gone.yaml: no such file"):
        cluster.check(["-e", "slurm", "--slurm-partition-config", "gone.yaml"], True, login)


@pytest.mark.parametrize("limit", ["1440", "'1-00:00:00'", "'12:00:00'", "24h"])
def test_what_the_plugin_takes_is_taken(tmp_path, limit):
    from snakemake_executor_plugin_slurm.partitions import PartitionLimits, read_partition_file

    (tmp_path / "p.yaml").write_text(f"partitions: {{cpu: {{max_runtime: {limit}, available_constraints: [a]}}}}")
    cluster.check_partitions(tmp_path / "p.yaml")
    assert read_partition_file(tmp_path / "p.yaml")[0].limits.max_runtime in (1440, 720)
    ours = set(cluster.Partition.model_fields) - {"cluster", "clusters", "slurm_cluster"}
    assert ours == set(PartitionLimits.__dataclass_fields__)
    cluster.check_partitions(ROOT / "config/slurm/partitions.yaml")


def test_snakemake_itself_says_it(tmp_path):
    workspace = Workspace.new(tmp_path)
    tools = tmp_path / "tools"  # a machine with SLURM has sbatch in /bin
    tools.mkdir()
    for tool in Path("/bin").iterdir():
        if tool.name != "sbatch":
            (tools / tool.name).symlink_to(tool)
    bare = os.environ | {"PATH": f"{Path(sys.executable).parent}:{tools}", "HOME": str(tmp_path)}
    command = workspace.command("--profile", "slurm", "data")
    done = subprocess.run(command, cwd=tmp_path, env=bare, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "sbatch: no such command" in done.stdout + done.stderr
