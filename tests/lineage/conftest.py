"""The made-up workflow of the tables' tests, laid out as its rules would lay it out."""

import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "tables"))
import made_tables  # noqa: E402


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """Its results, read only."""
    return made_tables.laid(tmp_path_factory.mktemp("laid"))


@pytest.fixture
def results(whole, tmp_path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(whole, tmp_path / "results" / "demo"))
