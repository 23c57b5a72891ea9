"""The fixture of `worlds`."""

import pytest
from worlds import World


@pytest.fixture
def world(tmp_path, tiny_weights):
    return World(tmp_path, tiny_weights())
