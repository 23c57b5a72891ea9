"""What Snakemake plans: each scale by itself, nothing twice, and after a change only what depends on it."""

import os
import shutil

import pytest

from madi import config, settle

TABLES = {"build the tables", "draw the grids of pictures", "write the report"}
DRAWN = "draw what MAgD does to a target"
MAKING = ("edit with", "judge the edits of", "score the edits of")
SCORING = {f"score the edits of {job}, shard 00000" for job in ("models", "references")}
LOADERS = ("encode", "train", "edit with", "score")  # jobs that load a model


@pytest.fixture(scope="session")
def plans(fresh):
    return {scale: fresh.plan(scale=scale) for scale in ("demo", "smoke")}


def test_a_scale_is_complete_in_itself(plans, fresh):
    for scale, plan in plans.items():
        runs = config.load(fresh.folder / f"config/{scale}.yaml").train.runs
        assert {job for job in plan if job.startswith("train ")} == {f"train {run}" for run in runs}
    assert "train magd_zero" in plans["demo"] - plans["smoke"]


@pytest.mark.parametrize("scale, most", [("demo", 25), ("smoke", 8)])
def test_few_jobs_load_a_model(plans, scale, most):
    assert 4 <= sum(job.startswith(LOADERS) for job in plans[scale]) <= most


def test_a_stage_is_a_target_of_its_own(fresh):
    plan = fresh.plan("prompts")
    assert "plan the training edits, shard 00000" in plan and not any(job.startswith(LOADERS) for job in plan)


def test_every_file_promised_is_there_and_the_samples_may_be_looked_at(smoke):
    results = smoke.folder / "results/smoke"
    names = [*map(str, range(1, 11)), "complex_edit", "idea_bench"]
    made = {f"tables/table_{name}.{form}" for name in names for form in ("csv", "md", "tex")}
    made |= {f"figures/figure_{number}.{form}" for number in (6, 7, 8) for form in ("svg", "png")}
    made |= {"report.html", "cells.parquet", "lineage.parquet", "edits/models/00000.jpg", "runs/magd_ep/train.csv"}
    assert all((results / path).stat().st_size for path in made)
    timed = {path.relative_to(results / "timings").parts[0] for path in results.glob("timings/*/**/*.tsv")}
    data = {"data_prepare", "data_latents", "data_check"}
    assert timed == data | {
        "prompts_plan",
        "prompts_questions",
        "train_run",
        "edit_shard",
        "score_judge",
        "score_shard",
    }


def test_slices_are_settled_where_their_jobs_read_them(smoke, monkeypatch):
    monkeypatch.chdir(smoke.folder)
    scale = config.load("config/smoke.yaml")
    for part, text in settle.slices(scale, settle.declared(scale)).items():
        assert (smoke.folder / f"results/smoke/{part}/config.json").read_text() == text + "\n"


def test_afterwards_nothing_is_to_be_done(smoke):
    assert smoke.plan() == set()


def test_comments_white_space_and_touched_files_rerun_nothing(finished):
    finished.rewrite("config/smoke.yaml", "seed: 0\n", "seed:  0   # of everything\n\n")
    finished.rewrite("config/tables.yaml", "systems:", "# rows\nsystems:")
    for path in (
        "assets/tiny/dino/model.safetensors",
        "config/reported.csv",
        "results/smoke/data/train/samples.json",
    ):
        os.utime(finished.folder / path)
    assert finished.plan() == set()


CHANGES = [  # in which file, from what, to what, and what must then run
    ("smoke", "resamples: 50", "resamples: 51", TABLES),
    ("tables", "title: Against other editors", "title: Against the others", TABLES),
    (
        "smoke",
        "{probability: 0.5, ",
        "{probability: 0.6, ",
        {"train magd_ep", DRAWN, *(f"{what} models, shard 00000" for what in MAKING), *TABLES},
    ),
    (
        "smoke",
        "  batch: 64\n",
        "  batch: 32\n",
        SCORING | TABLES,
    ),
]


@pytest.mark.parametrize("file, old, new, jobs", CHANGES)
def test_a_changed_value_reruns_what_depends_on_it(finished, file, old, new, jobs):
    finished.rewrite(f"config/{file}.yaml", old, new)
    assert finished.plan() == jobs


def test_a_changed_input_reruns_what_depends_on_it(finished):
    finished.rewrite("config/reported.csv", "\n", "\n\n")
    assert finished.plan() == TABLES - {"draw the grids of pictures"}
    shutil.copy(finished.folder / "assets/tiny/dino/config.json", finished.folder / "assets/tiny/dino/copy.json")
    assert finished.plan() == SCORING | TABLES


def test_an_added_run_leaves_the_others_alone(finished):
    finished.rewrite("config/smoke.yaml", "\nedit:\n", "    magd_rate: {like: magd_ep, magd: {rate: 0.5}}\n\nedit:\n")
    assert finished.plan() == {"train magd_rate", *TABLES}  # Table 8 tells of all runs


def test_a_dry_run_tells_what_each_job_asks_for(fresh):
    told = fresh.snakemake("--dry-run", "--cores", "2", scale="paper").stdout
    assert "train magd_ep (mem_mb=256000, runtime=1440, gpu=4)" in told
    assert "edit with magd_ep, shard 00023 (mem_mb=32000, runtime=1440, gpu=1)" in told
