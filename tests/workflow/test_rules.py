"""The rule files keep to one form: a job rule calls the verb of its name, and says what it needs."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.utils import format as formatted

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
    assert called in body and ("--log-to {log:q}" if job == "train_run" else "--log {log:q}") in body
    assert "--config {input.config:q}" in body or job in ("data_fetch", "prompts_join")  # which need no slice
    for directive in ("log", "benchmark", "resources", "message", "conda"):
        assert re.search(rf"^    {directive}:", body, re.MULTILINE), directive


SHELLS = {
    (path.name, number): text
    for path in sorted((ROOT / "workflow/rules").glob("*.smk"))
    for number, text in enumerate(re.findall(r"^ +shell:\n((?: +\".*\"\n)+)", path.read_text(), re.MULTILINE))
}
FIELD = re.compile(r"(?<!{){(\w+)((?:\.\w+)?)([^}]*)}")
HOSTILE = ["z/$(touch X)/x", "`touch X`", "a; touch X", "a\ntouch X", "a' b", 'a" b', "$HOME", "*", "> X", "a & b"]


def command_of(rule: tuple[str, int], value) -> str:
    """The shell line of a rule whose every field, but the launcher, is `value`."""
    text = "".join(re.findall(r'^ +"(.*)"$', SHELLS[rule], re.MULTILINE)).replace("\\\\", "\\")
    fields: dict = {}
    for kind, part, _ in FIELD.findall(text):
        fields.setdefault(kind, SimpleNamespace() if part else value)
        if part:
            setattr(fields[kind], part[1:], "madi" if part == ".launch" else value)
    return formatted(text, **fields)


def test_every_shell_line_is_found():
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert len(SHELLS) == len(re.findall(r"^ +shell:", rules, re.MULTILINE)) > 15
    assert not re.search(r"\b(os\.system|subprocess|check_output)\b", rules)


@pytest.mark.parametrize("rule", SHELLS, ids=str)
def test_every_field_of_a_shell_line_is_quoted(rule):
    """`train.launcher` alone is a command: config/README.md says so."""
    bare = {f"{kind}{part}" for kind, part, form in FIELD.findall(SHELLS[rule]) if form != ":q"}
    assert bare <= {"params.launch"}


@pytest.mark.parametrize("value", HOSTILE)
def test_no_value_is_more_than_a_word_of_a_shell_line(value):
    for rule in SHELLS:
        plain = len(shlex.split(command_of(rule, "plain")))
        for given in (value, [value]):
            words = shlex.split(command_of(rule, given))
            assert len(words) == plain and any(value in word for word in words), rule
        assert len(shlex.split(command_of(rule, [value, value]))) > plain


@pytest.mark.parametrize("name", RULES)
def test_no_rule_retries_by_itself_or_holds_logic(name):
    """Retries of a rule multiply with those of a cluster's profile; logic belongs into verbs."""
    assert not re.search(r"^    (retries|run|script):|directory\(|checkpoint ", RULES[name][1], re.MULTILINE)


def test_only_contents_change_plans():
    profile = (ROOT / "profiles/default/config.yaml").read_text()
    assert "rerun-triggers: [mtime, input, params]" in profile
