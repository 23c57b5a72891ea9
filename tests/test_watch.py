"""What is shown of a workflow while it runs."""

from hypothesis import given
from hypothesis import strategies as st

from madi import watch

STATS = ["Job stats:", "job  count", "---  -----", "settle  3", "train_run  2", "tables_build  1", "total  6"]


def shown(*words, step=10.0):
    """Lines shown, with a clock that goes on by `step` at each look."""
    ticks = iter(step * i for i in range(10_000))
    return list(watch.lines(iter([f"{word}\n" for word in words]), lambda: next(ticks)))


def job(number, rule, message):
    return [f"Job {number}: {message}", "Reason: missing", f"Finished jobid: {number} (Rule: {rule})"]


def test_one_line_a_job_that_takes_time_and_nothing_for_the_others():
    found = shown(*STATS, *job(1, "settle", "settle runs/ft"), *job(2, "train_run", "train ft"))
    assert len(found) == 1 and found[0].endswith("train ft: done")


def test_the_share_done_grows_to_all_and_the_time_left_shrinks_to_none():
    jobs = [("train_run", "train ft"), ("train_run", "train magd"), ("tables_build", "build the tables")]
    found = shown(*STATS, *(word for i, (rule, text) in enumerate(jobs) for word in job(i, rule, text)))
    shares = [int(line.split("]")[1].split("%")[0]) for line in found]
    assert shares == sorted(shares) and shares[-1] == 100 and "about 0:00 left" in found[-1]


@given(st.floats(0.2, 5))
def test_the_time_left_follows_the_pace_of_the_first_jobs(slow):
    forecast = watch.Forecast(left=watch.Counter({"train_run": 3}))
    forecast.start("1", "train ft", 0.0)
    forecast.finish("1", "train_run", slow * watch.SECONDS["train_run"])
    assert abs(forecast.seconds(0.0) - 2 * slow * watch.SECONDS["train_run"]) < 1e-6


def test_jobs_side_by_side_halve_the_time_left():
    one, two = (watch.Forecast(left=watch.Counter({"train_run": 4})) for _ in range(2))
    one.start("1", "train ft", 0.0)
    two.start("1", "train ft", 0.0)
    two.start("2", "train magd", 0.0)
    assert two.seconds(0.0) == one.seconds(0.0) / 2


def test_a_failure_is_shown_in_full_from_its_first_line_on():
    words = ["error: a.parquet: not a Parquet file", "Error in rule edit_shard:", "    jobid: 3", "Exiting"]
    assert shown(*STATS, "Job 3: edit with ft", *words) == words


def test_a_long_silence_is_broken_by_what_a_job_says():
    assert len(shown(*STATS, *[f"train ft {i}/80 1% 0:03 left" for i in range(20)])) == 7  # of 200 s


def test_a_locked_folder_is_one_line():
    assert shown("LockException:", "Error: Directory cannot be locked.") == [watch.LOCKED]


def test_the_exit_code_is_the_command_s():
    assert watch.main(["false"]) == 1 and watch.main(["true"]) == 0


def test_a_warning_is_passed_on():
    warning = "warning: other code than this has trained ft: they stand"
    assert shown(warning, *STATS)[0] == warning
