"""The profile for SLURM, without one: what bites is not in it, and the paper's plan asks for what its jobs need."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
RULES = {path.stem: path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk"))}
PROFILE = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())
RULE = re.compile(r"^\s*(?:local)?rule (\w+):\n((?:\s{4,}.*\n|\n)+)", re.MULTILINE)
# on the login node, where the network is: they fetch, or ask an endpoint
NETWORK = {"data_fetch", "prompts_plan", "prompts_questions", "score_judge"}


def plan(folder: Path, scale: str) -> list[dict]:
    """What every job is planned with: rule, whether it is `local`, and its resources. Rules say what they do in a
    message, and Snakemake shows nothing else then: here they say nothing."""
    for name in ("Snakefile", "config", "profiles", "assets", "environment.yml"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "slurm").symlink_to("config/slurm")
    shutil.copytree(ROOT / "workflow", folder / "workflow")
    for path in (folder / "workflow/rules").glob("*.smk"):
        path.write_text(re.sub(r'    message:\n        "[^"]*"\n', "", path.read_text()))
    words = [sys.executable, "-m", "snakemake", "-n", "--profile", "slurm", "--configfile", f"config/{scale}.yaml"]
    done = subprocess.run(
        words, cwd=folder, env=os.environ | {"HOME": str(folder)}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    jobs = []
    for part in re.split(r"^ *(?=(?:local)?rule \w+:$)", done.stdout, flags=re.MULTILINE)[1:]:
        resources = re.search(r"^ *resources: (.*)$", part, re.MULTILINE)
        asked = dict(pair.split("=", 1) for pair in resources[1].split(", "))
        head = re.match(r"(local)?rule (\w+):", part)
        jobs.append({"rule": head[2]} | {name: value for name, value in asked.items()})
    return jobs


@pytest.fixture(scope="module")
def paper(tmp_path_factory) -> list[dict]:
    return plan(tmp_path_factory.mktemp("paper"), "paper")


def test_a_cancelled_job_is_seen():
    """With sacct, `CANCELLED by 0` is no word that the plugin knows, and the job runs for ever."""
    assert PROFILE["slurm-status-command"] == "squeue"
    assert PROFILE["slurm-init-seconds-before-status-checks"] * 3 <= 300  # SLURM's own MinJobAge; below, sacct is asked


@pytest.mark.parametrize("stage", RULES)
def test_retries_are_the_profiles_alone(stage):
    """Within an allocation a rule's own would count again in each of three Snakemakes."""
    assert PROFILE["retries"] == 2 and not re.search(r"^\s*retries:", RULES[stage], re.MULTILINE)


def test_the_plugin_starts_a_script_of_four_gpus_once():
    text = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [Requirement(line) for line in text["project"]["dependencies"]]
    plugin = next(one for one in wanted if one.name == "snakemake-executor-plugin-slurm")
    assert plugin.specifier.contains("2.7.1") and not plugin.specifier.contains("2.7.0")


def test_the_profile_goes_with_the_default_one():
    """Snakemake reads both; of a key in both it takes the default one's, and here each is said once."""
    default = yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())
    assert default["rerun-triggers"] == ["mtime", "input", "params"] and not set(default) & set(PROFILE)


def test_no_site_is_assumed_by_a_rule():
    assert not re.search("slurm_|partition|account|qos|gres|constraint", "".join(RULES.values()))


def test_every_job_of_the_paper_says_its_memory_and_minutes(paper):
    for job in paper:
        if job["rule"] in ("settle", "all"):
            continue
        assert int(job["mem_mb"]) >= 2000 and 0 < int(job["runtime"]) <= 1440 and job["nodes"] == "1", job


def test_what_computes_on_a_gpu_asks_for_one(paper):
    gpus = {rule: {int(job.get("gpu", 0)) for job in paper if job["rule"] == rule} for rule in {j["rule"] for j in paper}}
    assert gpus["train_run"] == {4} and sum(job["rule"] == "train_run" for job in paper) == 7
    assert gpus["data_latents"] == {1}
    assert gpus["edit_shard"] == {0, 1}  # published edits are read
    assert gpus["score_shard"] == {0, 1}  # GenEval's detector
    others = set(gpus) - {"train_run", "data_latents", "edit_shard", "score_shard"}
    assert all(gpus[rule] == {0} for rule in others)


def test_trainings_have_the_processors_of_their_gpus():
    assert PROFILE["set-resources"]["train_run"]["cpus_per_gpu"] == 8


def test_what_needs_the_network_stays_where_it_is(paper_local):
    assert paper_local >= NETWORK


def test_without_endpoints_only_fetching_does(demo_local):
    assert "data_fetch" in demo_local and not demo_local & (NETWORK - {"data_fetch"})
