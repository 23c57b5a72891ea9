"""A grid of a thousand trainings: planned within a minute, and found finished within another."""

import pytest

from madi.bench import dag


def test_a_small_grid_is_planned_and_found_finished():
    row = dag.measure(10, 2)
    assert row.jobs > 10 * (1 + 3 * 2) and 0 < row.plan_s <= row.dry_run_s and row.check_s > 0


@pytest.mark.slow
def test_a_thousand_runs_are_planned_in_a_minute_and_two_gigabytes():
    """In seconds of a core, since the tests share theirs. The check is Snakemake's plan and a look at every record."""
    row = dag.measure(1000, 5)
    dag.tell([row], None)
    assert row.jobs >= 20_000
    assert row.plan_cpu_s < 60 and row.check_cpu_s < 60 and row.memory_mb < 2000
