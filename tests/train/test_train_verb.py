"""`madi train run` from the command line: one line for a bad slice, nothing left behind."""

from pathlib import Path

from typer.testing import CliRunner

from madi.errors import MadiError
from madi.train.verbs import app


def test_a_missing_slice_is_named(tmp_path):
    names = ["config", "samples", "plans", "latents", "out", "state", "table"]
    options = [word for name in names for word in (f"--{name}", str(tmp_path / name))]
    result = CliRunner().invoke(app, ["run", *options])
    assert isinstance(result.exception, MadiError)
    assert str(tmp_path / "config") in str(result.exception)
    assert list(Path(tmp_path).iterdir()) == []
