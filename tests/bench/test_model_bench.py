"""`madi bench model` at a size of seconds: every row is there, and both sides give the same."""

import json

import pytest
import torch

from madi.bench import clock, flops, model
from madi.bench.subject import transformer
from madi.cli import main
from madi.model import flops as counts
from madi.model.attention import Call
from madi.model.packed import Packed
from madi.model.prompt import Prompt

NAMES = ["edit", "edit_unpadded", "sweep", "sweep_prefix", "train_step", "train_step_single"]


def test_all_rows_are_written_and_equal(tmp_path, capsys):
    out = tmp_path / "model.json"
    threads = torch.get_num_threads()
    assert main(["bench", "model", "--size", "tiny", "--device", "cpu", "--threads", "1", "--json", str(out)]) == 0
    torch.set_num_threads(threads)
    rows = json.loads(out.read_text())
    assert [row["name"] for row in rows] == NAMES
    for row in rows:
        assert row["max_rel_diff"] < 2e-4, row
        assert row["ratio"] == row["other_s"] / row["ours_s"] > 0
    shown = capsys.readouterr().out
    assert all(f"| `{name}` |" in shown for name in NAMES)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_one_line(capsys):
    assert main(["bench", "model", "--size", "tiny", "--device", "cuda"]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_a_figure_is_made_of_first_marks_and_medians():
    # two runs of two edits, three steps each: first marks (medians 10 and 21), later ones with median 2
    runs = [[10, 2, 2, 20, 2, 9], [10, 1, 2, 22, 2, 3]]
    assert model.sum_of(runs, 3, 5) == 10 + 21 + 2 * 4 * 2


def test_operations_equal_the_textbook_count():
    packed = Packed(transformer(model.SIZES["tiny"], 4, 1000))
    size, length, noise = model.SIZES["tiny"], 5, 4
    with flops.counted(packed) as cost, torch.no_grad():
        packed(torch.zeros(1, 4, 4, 4), torch.zeros(1), [Prompt([3] * length)])
    tokens = length + 1 + noise
    weights = 4 * size.hidden**2 + 3 * size.hidden * size.inner
    pairs = sum(range(1, length + 2)) + noise * tokens  # causal words and time, then noise that sees all
    assert cost[0] == size.layers * (2 * tokens * weights + 4 * size.hidden * pairs)
    assert "trunk" not in vars(packed)


def test_a_causal_call_costs_what_its_mask_lets_through():
    mask = torch.tensor([[True, False], [True, True]])
    assert counts.looked_at(Call(0, 2, mask)) == 3 and counts.looked_at(Call(1, 3, None)) == 6


def test_a_row_far_from_the_other_shows():
    assert clock.apart(torch.tensor([1.0, 2.5]), torch.tensor([1.0, 2.0])) == 0.25
