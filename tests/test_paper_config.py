"""config/paper.yaml is the paper's Table 8, and plans every training without anything fetched."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from madi import config

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def paper():
    return config.load(ROOT / "config/paper.yaml")


def printed() -> dict[str, str]:
    with open(ROOT / "config/reported.csv", newline="") as file:
        return {row["row"]: row["value"] for row in csv.DictReader(file) if row["table"] == "8"}


def test_every_value_of_table_8_is_there(paper):
    run, told = paper.train.runs["magd_ep"], printed()
    size = paper.data.train.edits + paper.data.train.t2i
    found = {
        "learning_rate": run.learning_rate == float(told["learning_rate"]),
        "warmup": run.warmup_steps == int(told["warmup"]),
        "batch_size": run.batch == int(told["batch_size"]),
        "gradient_steps": str(run.steps - run.warmup_steps) in told["gradient_steps"],
        "resolution": paper.size_px == int(told["resolution"]),
        "training_data_size": told["training_data_size"].lower() == f"{size // 1000}k",
        "masking_rate": run.magd.rate == float(told["masking_rate"]),
        "timestep_conditioning": told["timestep_conditioning"] == f"T-{1 - run.magd.noise_level:.1f}",
        "mask_embedding_size": run.magd.pool_size == int(told["mask_embedding_size"]),
        "masking_probability": run.magd.probability == float(told["masking_probability"]),
    }
    assert all(found.values()), found
    assert set(told) - set(found) <= {"schedule", "expressive_prompt_corpus"} and run.expressive


def test_each_value_says_where_the_paper_has_it():
    text = (ROOT / "config/paper.yaml").read_text()
    keys = ("size_px", "steps: 4000", "batch: 128", "learning_rate", "warmup_steps", "probability", "noise_level")
    for key in (*keys, "rate: 0.25", "pool_size", "pool_width", "drop:", "edit_weight", "masked_source", "processes"):
        line = next(line for line in text.splitlines() if key in line)
        assert "#" in line and ("Table" in line or "sec." in line), line


def test_runs_differ_by_what_the_paper_varies(paper):
    runs = {name: run.model_dump() for name, run in paper.train.runs.items()}

    def differs(a, b):
        return {key for key in runs[a] if runs[a][key] != runs[b][key]}

    assert differs("ft", "ft_ep") == differs("magd", "magd_ep") == {"expressive"} and differs("ft", "magd") == {"magd"}
    changed = {n: {k for k, v in runs[n]["magd"].items() if v != runs["magd"]["magd"][k]} for n in runs if "magd_" in n}
    assert changed == {
        "magd_ep": set(),
        "magd_level05": {"noise_level"},
        "magd_rate05": {"rate"},
        "magd_zero": {"token"},
    }


def test_the_paper_scale_is_planned_whole(paper, tmp_path):
    words = [sys.executable, "-m", "snakemake", "-n", "--configfile", "config/paper.yaml", "--nolock"]
    done = subprocess.run(words, cwd=ROOT, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    counts = dict(line.split() for line in done.stdout.splitlines() if line.split()[1:] and line.split()[1].isdigit())
    assert counts["train_run"] == "7" == str(len(paper.train.runs))
    assert counts["data_latents"] == str(paper.data.latents.shards) and counts["data_fetch"] == "21"


def test_what_is_taken_comes_to_what_is_said(paper):
    takes = {name: source.take or 8807 for name, source in paper.data.train.sources.items()}  # MagicBrush: all of train
    pictures = takes.pop("captions")
    assert sum(takes.values()) == paper.data.train.edits and pictures == paper.data.train.t2i


def test_all_runs_learn_from_the_papers_mixture(paper):
    """100k with a plan, 100k without, 200k text to image, whether a run shows plans or not."""
    for run in paper.train.runs.values():
        weights = {name: portion.weight for name, portion in run.mixture.items()}
        assert weights == {"planned": 1, "plain": 1, "pictures": 2} and run.wants_plans
    assert paper.prompts.plans.share == 0.5


def test_the_measured_figures_hold_what_is_claimed():
    """What `results/bench` holds is what the README and the issue of each claim say, at the least."""
    found = {}
    for path in (ROOT / "results/bench").glob("*_small_cpu.json"):
        found |= {row["name"]: row for row in json.loads(path.read_text())}
    least = {
        "edit": 2.0,
        "edit_unpadded": 1.6,
        "sweep": 2.0,
        "sweep_prefix": 3.5,
        "train_step": 1.4,
        "mix_vs_dense": 1.4,
    }
    assert all(found[name]["ratio"] >= bar for name, bar in least.items())
    assert all(found[name]["ratio"] >= 1 for name in ("train_step_single", "mix_vs_microbatch1"))
    assert all(row["max_rel_diff"] < 1e-3 for row in found.values())
    assert all(found[name]["ours_mb"] <= 0.75 * found[name]["other_mb"] for name in ("train_step", "mix_vs_dense"))
