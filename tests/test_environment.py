"""What is installed is written three times: asked for, locked, and for conda. They agree."""

import importlib.util
import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("environment", ROOT / "workflow/environment.py")
environment = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(environment)


def test_conda_gets_the_locked_versions_of_everything_asked_for():
    written = (ROOT / "environment.yml").read_text()
    assert written == environment.environment(ROOT), "run `make lock`"
    listed = dict(re.findall(r"- ([\w.-]+)==(\S+)", written))
    assert set(listed) == set(environment.asked(ROOT / "pyproject.toml"))
    assert listed["torch"] == "2.13.0" and listed["torchvision"] == "0.28.0"


def test_the_lock_has_a_hash_for_every_version_and_names_no_index():
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=\S)", lock.strip())
    pinned = [entry for entry in entries if not entry.startswith("#")]
    assert pinned and all("--hash=sha256:" in entry and "==" in entry for entry in pinned)
    assert "://" not in lock and "index-url" not in lock


def test_constraints_hold_in_the_lock():
    versions = environment.locked(ROOT / "requirements.lock")
    for line in (ROOT / "constraints.txt").read_text().split():
        name, version = line.split("==")
        assert versions[name] == version
