"""What a person sees when something is wrong: one line that names it, and nothing finished is lost."""

import os
import signal

from madi import watch

SAMPLES = "results/smoke/data/validation/samples.json"
QUESTIONS = "results/smoke/prompts/validation/questions.parquet"


def errors(done) -> list[str]:
    assert done.returncode != 0
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("error: ")]


def test_a_truncated_input_is_named_and_nothing_else_is_lost(finished):
    """Only the questions and the edits that need these samples fail; every other finished job stands."""
    path, results = finished.folder / SAMPLES, finished.folder / "results/smoke"
    path.write_bytes(path.read_bytes()[:40])
    done = (file for part in ("edits/references", "scores/*", "runs/*") for file in results.glob(f"{part}/*"))
    kept = {file: file.stat().st_mtime_ns for file in done if file.is_file()}
    found = errors(finished.snakemake("--cores", "2", "--keep-going"))
    assert found and all(SAMPLES in line for line in found)
    log = results / "logs/prompts_questions/validation.log"
    assert log.read_text().splitlines()[-1] in found
    assert len(kept) > 8 and kept == {file: file.stat().st_mtime_ns for file in kept}


def test_what_a_killed_workflow_left_is_named_and_made_again(finished):
    made = finished.folder / QUESTIONS
    whole = made.read_bytes()
    again = ("--cores", "2", "--forcerun", "prompts_questions", "--", QUESTIONS)
    killed = finished.start(*again)
    assert any(line.endswith(": ask the questions of validation\n") for line in killed.stdout)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert errors(finished.watched(*again)) == [watch.LOCKED]
    assert finished.snakemake("--unlock").returncode == 0
    assert finished.watched("--cores", "2", QUESTIONS).returncode == 0
    assert made.read_bytes() == whole


def test_a_slip_in_the_config_stops_the_plan_with_its_key(finished):
    finished.rewrite("config/smoke.yaml", "resamples: 50", "resample: 50")
    done = finished.snakemake("--cores", "2", "--dry-run")
    shown = done.stdout + done.stderr
    assert done.returncode != 0 and "tables.resample: unknown key" in shown and "did you mean `resamples`?" in shown


def test_a_missing_file_is_named(finished):
    (finished.folder / "config/reported.csv").unlink()
    (finished.folder / "results/smoke/cells.parquet").unlink()  # with nothing to make, nothing is read
    done = finished.snakemake("--cores", "2", "--dry-run")
    assert done.returncode != 0 and "config/reported.csv" in done.stdout + done.stderr
