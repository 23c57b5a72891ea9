"""The same config gives the same bytes, on one core or two."""

import pytest


def test_these_tests_share_a_process_and_its_smoke_run(request):
    """A pytest that xdist does not know lets their groups go without a word, and each worker makes a run of its own."""
    if request.config.getoption("loadgroup", default=False):
        assert request.node.nodeid.endswith("@workflow")


@pytest.mark.slow
def test_one_core_makes_the_tables_of_two(fresh, smoke, tmp_path):
    again = fresh.copy(tmp_path / "again")
    assert again.snakemake("--cores", "1").returncode == 0
    assert len(smoke.kept()) > 60 and smoke.differences(again) == []


@pytest.mark.slow
def test_three_shards_make_the_cells_and_tables_of_one(fresh, smoke, tmp_path):
    split = fresh.copy(tmp_path / "split")
    split.rewrite("config/smoke.yaml", "\nedit:\n", "\nedit:\n  shards: 3\n")
    done = split.snakemake("--cores", "2")
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    first, second = (workspace.folder / "results/smoke" for workspace in (smoke, split))
    assert len(list(second.glob("scores/*/*.parquet"))) == 3 * len(list(first.glob("scores/*/*.parquet")))
    files = ["cells.parquet", "tables/tables.tex"]
    files += sorted(str(path.relative_to(first)) for path in first.glob("tables/table_*"))
    assert [file for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []


def test_scores_recompute_from_the_kept_images(finished):
    results = finished.folder / "results/smoke"
    paths = [results / "answers/references/00000.parquet", results / "scores/references/00000.parquet"]
    kept = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    assert finished.snakemake("--cores", "1", "results/smoke/scores/references/00000.parquet").returncode == 0
    assert [path.read_bytes() for path in paths] == kept


def test_snakemake_makes_its_own_report(finished):
    done = finished.snakemake("--report", "workflow.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/smoke/report.html" in (finished.folder / "workflow.html").read_text() + done.stdout + done.stderr
