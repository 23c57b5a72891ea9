"""`madi bench train` at a size of seconds: every row is there, and all sides give the same gradients."""

import json

import pytest
import torch

from madi.bench import clock
from madi.cli import main
from madi.errors import MadiError

NAMES = ["mix_vs_dense", "mix_vs_microbatch1", "mix_vs_inloop"]


def test_all_rows_are_written_and_equal(tmp_path, capsys):
    out, threads = tmp_path / "train.json", torch.get_num_threads()
    assert main(["bench", "train", "--size", "tiny", "--device", "cpu", "--threads", "1", "--json", str(out)]) == 0
    torch.set_num_threads(threads)
    rows = json.loads(out.read_text())
    assert [row["name"] for row in rows] == NAMES
    for row in rows:
        assert row["max_rel_diff"] < 2e-4 and row["tokens"] > 0 and row["ours_mb"] > 0 and row["share"] > 0, row
        assert row["ratio"] == row["other_s"] / row["ours_s"] > 0
    shown = capsys.readouterr().out
    assert all(f"| `{name}` |" in shown for name in NAMES) and "tokens/s" in shown


def test_times_of_unequal_results_are_refused():
    with pytest.raises(MadiError, match="the two sides of x are 2.0e-01 apart"):
        clock.hold([clock.Row("x", "y", 1, 2, 0.2)], 0.1)
    with pytest.raises(MadiError, match="nan apart"):
        clock.hold([clock.Row("x", "y", 1, 2, float("nan"))], 0.1)
