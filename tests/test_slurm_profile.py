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

from madi import config, configfile, settle
from madi.cost.machine import pair
from madi.cost.stages import estimate
from madi.errors import MadiError

ROOT = Path(__file__).parent.parent
RULES = {path.stem: path.read_text() for path in sorted((ROOT / "workflow/rules").glob("*.smk"))}
JOB = re.compile(r"^( *)rule (\w+):\n(?:(?!\1rule).*\n)*?\1    resources: (.*)$", re.MULTILINE)
PROFILE = yaml.safe_load((ROOT / "slurm/config.yaml").read_text())


def plan(folder: Path, scale: str) -> list[dict]:
    """What every job is planned with: rule, whether it is `grouped`, and its resources. Rules say what they do in a
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
    for indent, rule, asked in JOB.findall(done.stdout):
        jobs.append({"rule": rule, "grouped": bool(indent)} | dict(pair.split("=", 1) for pair in asked.split(", ")))
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
    assert not re.search(r"slurm_|partition=|account=|qos=|gres=|[^_]constraint=", "".join(RULES.values()))


def test_every_job_of_the_paper_says_its_memory_and_minutes(paper):
    for job in paper:
        if job["rule"] in ("settle", "stamp", "stamp_shards", "all"):
            continue
        assert int(job["mem_mb"]) >= 2000 and 0 < int(job["runtime"]) <= 1440, job


def test_a_training_stands_on_one_node_and_nothing_else_counts_nodes(paper):
    """Snakemake adds up what the jobs of a group ask for at once."""
    asked = {(job["rule"], job.get("nodes")) for job in paper if job["rule"] == "train_run" or "nodes" in job}
    assert asked == {("train_run", "1")}


def test_every_limit_is_twice_what_a_job_is_thought_to_take(paper):
    """A training stops by itself and goes on in another go."""
    minutes = {}
    for part in (
        part for stage in estimate(config.load(ROOT / "config/paper.yaml"), *pair(None)) for part in stage.parts
    ):
        minutes[part.rule] = max(minutes.get(part.rule, 0), max(part.seconds) / 60)
    limits = {job["rule"]: int(job["runtime"]) for job in paper if "runtime" in job}
    short = {rule for rule in minutes if rule in limits and 2 * minutes[rule] > limits[rule]}
    assert short - {"train_run"} == set() and len(minutes.keys() & limits.keys()) > 8


def test_what_computes_on_a_gpu_asks_for_one(paper):
    gpus = {
        rule: {int(job.get("gpu", 0)) for job in paper if job["rule"] == rule} for rule in {j["rule"] for j in paper}
    }
    assert gpus["train_run"] == {4} and sum(job["rule"] == "train_run" for job in paper) == 7
    assert gpus["data_latents"] == {1}
    assert gpus["edit_shard"] == {0, 1}  # published edits are read
    assert gpus["score_shard"] == {1}  # CLIP, DINO and the detector
    others = set(gpus) - {"train_run", "data_latents", "edit_shard", "score_shard"}
    assert all(gpus[rule] == {0} for rule in others)


def test_trainings_have_the_processors_of_their_gpus():
    assert PROFILE["set-resources"]["train_run"]["cpus_per_gpu"] == 8


def test_what_needs_the_network_stays_where_it_is():
    assert re.search(r"^localrules:\n(    .*\n)*?    data_fetch,", RULES["data"], re.MULTILINE)
    assert re.search(r"^localrules:\n(    .*\n)*?    edit_over_network,", RULES["edit"], re.MULTILINE)
    for stage, rule in (("prompts", "prompts_plan"), ("prompts", "prompts_questions"), ("score", "score_judge")):
        where = rf"^if settle.endpoint\(CONFIG, CONFIG[\w.]+\):\n\n    localrules:\n        {rule},"
        assert re.search(where, RULES[stage], re.MULTILINE), rule


def test_no_group_holds_what_asks_an_endpoint(paper):
    """A job in a group is never local."""
    grouped = {job["rule"] for job in paper if job["grouped"]}
    assert grouped == {"data_prepare", "stamp_shards", "tables_build", "tables_pictures", "tables_page"}


def with_endpoint(job: str | None) -> config.Config:
    raw = configfile.read(ROOT / "config/paper.yaml").content
    far = {"kind": "endpoint", "endpoint": {"url": "https://images.example/v1", "model": "m"}} | (
        {"job": job} if job else {}
    )
    ask = {"benchmark": "geneval", "editors": ["far"], "pauses": [0], "seeds": [0]}
    return config.parse(configfile.merge(raw, {"edit": {"editors": {"far": far}, "asks": {"far": ask}}}))


def test_an_editor_behind_an_endpoint_is_asked_where_the_network_is():
    jobs = settle.jobs(with_endpoint(None))
    assert {job: settle.edits_over_network(jobs[job]) for job in ("far", "ft")} == {"far": True, "ft": False}


def test_it_takes_no_job_on_a_gpu_there():
    with pytest.raises(MadiError, match=r"edit.editors.far.job: found magd, .* no endpoints; expected its own"):
        with_endpoint("magd")


def test_jobs_that_ask_an_endpoint_take_turns(paper):
    """What it allows a minute is kept by each process for itself."""
    asking = {job["rule"] for job in paper if int(job.get("asking", 0))}
    assert asking == {"prompts_plan", "prompts_questions", "score_judge"}
    assert "asking=1" in yaml.safe_load((ROOT / "profiles/default/config.yaml").read_text())["resources"]
