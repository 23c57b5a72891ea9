"""One SLURM and one finished smoke run for these tests, which are marked `slurm` and share one process."""

from pathlib import Path

import pytest
from cluster import Cluster, missing
from workspace import Workspace

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.slurm)
            item.add_marker(pytest.mark.xdist_group("slurm"))


@pytest.fixture(scope="session")
def cluster():
    if absent := missing():
        pytest.skip(f"no SLURM on this machine ({absent} is missing): `make test-slurm` installs it where it can")
    made = Cluster().start()
    yield made
    made.stop()


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Workspace:
    """A smoke run on these cores, which those through SLURM are held to; not to be changed."""
    workspace = Workspace.new(tmp_path_factory.mktemp("smoke"))
    done = workspace.snakemake("--cores", "2")
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return workspace
