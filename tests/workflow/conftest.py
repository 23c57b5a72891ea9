"""One smoke run for all tests of the workflow: they look at plans against copies of its folder."""

from pathlib import Path

import pytest
from workspace import Workspace


@pytest.hookimpl(tryfirst=True)  # before xdist's own, which reads the groups
def pytest_collection_modifyitems(items):
    """These tests share one process, so that the smoke run is made once, and start first, since it takes longest."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.xdist_group("workflow"))
    items[:] = here + [item for item in items if item not in here]


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Workspace:
    """Nothing run yet; not to be changed."""
    return Workspace.new(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Workspace:
    """A finished smoke run; not to be changed."""
    workspace = Workspace.new(tmp_path_factory.mktemp("smoke"))
    done = workspace.snakemake("--cores", "2")
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return workspace


@pytest.fixture
def finished(smoke, tmp_path) -> Workspace:
    """A copy of the finished smoke run, to change."""
    return smoke.copy(tmp_path / "copy")
