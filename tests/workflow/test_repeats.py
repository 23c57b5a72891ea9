"""The same config gives the same bytes, on one core or two."""

import pytest


@pytest.mark.slow
def test_one_core_makes_the_tables_of_two(fresh, smoke, tmp_path):
    again = fresh.copy(tmp_path / "again")
    assert again.snakemake("--cores", "1").returncode == 0
    assert len(smoke.kept()) > 60 and smoke.differences(again) == []


def test_scores_recompute_from_the_kept_images(finished):
    results = finished.folder / "results/smoke"
    paths = [results / "answers/references/answers.parquet", results / "scores/references/scores.parquet"]
    kept = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    assert finished.snakemake("--cores", "1", "results/smoke/scores/references/scores.parquet").returncode == 0
    assert [path.read_bytes() for path in paths] == kept


def test_snakemake_makes_its_own_report(finished):
    done = finished.snakemake("--report", "workflow.html")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "results/smoke/report.html" in (finished.folder / "workflow.html").read_text() + done.stdout + done.stderr
