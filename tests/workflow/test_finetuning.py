"""What fine-tuning does to the shipped base, on samples no benchmark holds."""

import numpy as np
import pandas as pd
import pytest

from madi import stats

JOBS = ("omnigen", "ft")
ASK = "    validation: {benchmark: validation, editors: [ft_ep, magd_ep], pauses: [0], seeds: [0]}\n"


@pytest.mark.slow
def test_finetuning_makes_the_base_keep_more_of_a_picture(fresh, tmp_path):
    """The demo's own training, on 160 validation edits: the paired interval of identity preservation is above 0."""
    workspace = fresh.copy(tmp_path / "bar")
    workspace.rewrite(
        "config/demo.yaml", "validation: {reader: scenes, edits: 32", "validation: {reader: scenes, edits: 160"
    )
    workspace.rewrite(
        "config/demo.yaml", ASK, ASK + ASK.replace("validation:", "bar:", 1).replace("_ep, magd_ep", ", omnigen")
    )
    wanted = [f"results/demo/scores/{job}/00000.parquet" for job in JOBS]
    done = workspace.snakemake("--cores", "2", *wanted, scale="demo")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    before, after = (scored(workspace.folder / path) for path in wanted)
    paired = (after - before).dropna()
    sums = stats.group_sums(paired.to_numpy(), paired.index.to_numpy(), np.ones(len(paired)))
    low, high = stats.mean_interval(sums, 2000, 0)
    print(
        f"identity preservation {before.mean():.2f} -> {after.mean():.2f}, {paired.mean():.2f} [{low:.2f}, {high:.2f}]"
    )
    assert len(paired) == 160 and low > 0


def scored(path) -> pd.Series:
    """Identity preservation by sample."""
    rows = pd.read_parquet(path, columns=["benchmark", "sample_id", "metric", "value"])
    mine = rows[(rows.metric == "oracle_idp") & (rows.benchmark == "validation")]
    return mine.set_index("sample_id").value
