"""Correlations of metrics with the truth: by hand, with intervals that hold, and nothing where nothing is known."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from madi.tables import validity
from madi.tables.spec import TablesSpec

SPEC = TablesSpec.model_construct(systems={})


def board(noise=0.5, count=60, truth=True):
    """Scores of edits whose CLIP-Dir follows the truth, whose DINO runs against it, and whose CLIP-I is constant."""
    rng = np.random.default_rng(0)
    rows, samples = [], []
    for number in range(count):
        task = "add" if number % 2 else "remove"
        samples.append(
            {"benchmark": "emu_edit", "sample_id": f"s{number}", "group_id": f"g{number // 2}", "task": task}
        )
        for editor in ("a", "b"):
            real = rng.uniform(0, 10)
            values = {"oracle_if/truth": real, "oracle_idp/truth": 10 - real} if truth else {}
            values |= {"clip_dir/source": real + noise * rng.normal(), "dino/source": -real, "clip_i/source": 0.5}
            for name, value in values.items():
                metric, against = name.split("/")
                key = {"benchmark": "emu_edit", "sample_id": f"s{number}", "editor": editor, "pause": 0, "seed": 0}
                rows.append(key | {"metric": metric, "against": against, "value": value, "status": "ok"})
    return pd.DataFrame(rows), pd.DataFrame(samples)


def cell(found, metric, truth, task="all"):
    [one] = found[(found.metric == metric) & (found.truth == truth) & (found.task == task)].to_dict("records")
    return one


def test_a_metric_that_follows_the_truth_and_one_that_runs_against_it():
    scores, samples = board()
    found = validity.table(scores, samples, SPEC, 200, 0)
    one = cell(found, "CLIP-Dir", "following")
    wide = scores.pivot_table(index=["sample_id", "editor"], columns="metric", values="value")
    assert one["rank_correlation"] == pytest.approx(spearmanr(wide["clip_dir"], wide["oracle_if"])[0])
    assert one["low"] < one["rank_correlation"] < one["high"] and one["n"] == 120
    assert cell(found, "DINO", "following")["rank_correlation"] == pytest.approx(-1)
    assert cell(found, "DINO", "preservation")["rank_correlation"] == pytest.approx(1)
    assert np.isnan(cell(found, "CLIP-I", "following")["rank_correlation"])  # what does not vary ranks nothing
    assert cell(found, "CLIP-Dir", "following", "add")["n"] == 60
    assert found.equals(validity.table(scores.sample(frac=1, random_state=1), samples, SPEC, 200, 0))


def test_without_a_truth_there_is_nothing_to_tell_and_a_figure_all_the_same(tmp_path):
    found = validity.table(*board(truth=False), SPEC, 50, 0)
    assert found.empty and validity.shown(found) == []
    validity.write(tmp_path / "t", tmp_path / "f", found)
    assert (tmp_path / "t/validity.csv").read_text().startswith("metric,truth,task,rank_correlation")
    assert (tmp_path / "f/figure_validity.svg").stat().st_size > 1000


def test_equal_scores_give_equal_files(tmp_path):
    for name in "ab":
        validity.write(tmp_path / name, tmp_path / name, validity.table(*board(), SPEC, 50, 0))
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
