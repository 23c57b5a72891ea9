"""The rule files keep to one form: a job rule calls the verb of its name, and says what it needs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
STAGES = ("data", "prompts", "train", "edit", "score", "tables")
RULE = re.compile(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
RULES = {
    name: (stage, body)
    for stage in (*STAGES, "settle")
    for name, body in RULE.findall((ROOT / f"workflow/rules/{stage}.smk").read_text())
}
JOBS = sorted(name for name, (_, body) in RULES.items() if "shell:" in body and name != "settle")


def test_every_stage_is_a_target_and_has_jobs():
    for stage in STAGES:
        assert RULES[stage][0] == stage and "shell:" not in RULES[stage][1]
        assert any(RULES[job][0] == stage for job in JOBS)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_calls_the_verb_of_its_name_and_says_what_it_needs(job):
    stage, body = RULES[job]
    verb = job.removeprefix(f"{stage}_")
    called = f'"{{params.launch}} {stage} {verb} ' if job == "train_run" else f'"madi {stage} {verb} '
    assert called in body and ("--log-to {log}" if job == "train_run" else "--log {log}") in body
    assert "--config {input.config}" in body or job in ("data_fetch", "prompts_join")  # which need no slice
    for directive in ("log", "benchmark", "resources", "message", "conda"):
        assert re.search(rf"^    {directive}:", body, re.MULTILINE), directive


@pytest.mark.parametrize("name", RULES)
def test_no_rule_retries_by_itself_or_holds_logic(name):
    """Retries of a rule multiply with those of a cluster's profile; logic belongs into verbs."""
    assert not re.search(r"^    (retries|run|script):|directory\(|checkpoint ", RULES[name][1], re.MULTILINE)


def test_only_contents_change_plans():
    profile = (ROOT / "profiles/default/config.yaml").read_text()
    assert "rerun-triggers: [mtime, input, params]" in profile
