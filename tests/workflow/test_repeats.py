"""The same config gives the same bytes, on one core or two."""

import pytest


@pytest.mark.slow
def test_one_core_makes_the_tables_of_two(fresh, smoke, tmp_path):
    again = fresh.copy(tmp_path / "again")
    assert again.snakemake("--cores", "1").returncode == 0
    first, second = (workspace.folder / "results/smoke" for workspace in (smoke, again))
    kept = ("tables/table_*", "figures/*", "*.parquet", "*/*/*.parquet", "runs/*/weights/**/*", "report.html")
    files = sorted(path.relative_to(first) for form in kept for path in first.glob(form) if path.is_file())
    assert len(files) > 60
    assert [str(file) for file in files if (first / file).read_bytes() != (second / file).read_bytes()] == []
