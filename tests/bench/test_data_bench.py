"""`madi bench data` on a few rows: both keep the same, and the row says how many images a second."""

import json

from madi.cli import main


def test_the_row_is_written_and_both_keep_the_same(tmp_path, capsys):
    out = tmp_path / "data.json"
    assert main(["bench", "data", "--rows", "20", "--processes", "1", "--json", str(out)]) == 0
    (row,) = json.loads(out.read_text())
    assert row["name"] == "prepare" and row["tokens"] == 40 and row["ratio"] > 0
    assert "images/s on 1 processes" in capsys.readouterr().err
