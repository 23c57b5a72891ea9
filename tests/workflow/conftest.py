"""One smoke run for all tests of the workflow: they look at plans against copies of its folder."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKED = ("Snakefile", "workflow", "profiles", "environment.yml")
COPIED = ("config", "assets")


def pytest_collection_modifyitems(items):
    """These tests share one process, so that the smoke run is made once, and start first, since it takes longest."""
    here = [item for item in items if Path(__file__).parent in item.path.parents]
    for item in here:
        item.add_marker(pytest.mark.xdist_group("workflow"))
    items[:] = here + [item for item in items if item not in here]


class Workspace:
    """A folder that a workflow runs in: the repository's rules, and a config and weights of its own."""

    def __init__(self, folder: Path):
        self.folder = folder

    @classmethod
    def new(cls, folder: Path) -> "Workspace":
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name)
        return cls(folder)

    def copy(self, folder: Path) -> "Workspace":
        """As this one, times of files included."""
        shutil.copytree(self.folder, folder, symlinks=True, dirs_exist_ok=True)
        return Workspace(folder)

    def command(self, *arguments: str, scale: str = "smoke") -> list[str]:
        return [str(SNAKEMAKE), "--configfile", f"config/{scale}.yaml", *arguments]

    def call(self, command: list[str]) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=3000)

    def snakemake(self, *arguments: str, scale: str = "smoke") -> subprocess.CompletedProcess:
        return self.call(self.command(*arguments, scale=scale))

    def watched(self, *arguments: str) -> subprocess.CompletedProcess:
        """As `make` calls it."""
        return self.call([sys.executable, "-m", "madi.watch", *self.command(*arguments)])

    def start(self, *arguments: str) -> subprocess.Popen:
        """In a process group of its own, stdout and stderr together in lines."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(self.command(*arguments), cwd=self.folder, start_new_session=True, **pipes)

    def plan(self, *arguments: str, scale: str = "smoke") -> set[str]:
        """What Snakemake would do, by the jobs' messages, settling and stamping left out."""
        done = self.snakemake("--dry-run", "--cores", "2", *arguments, scale=scale)
        assert done.returncode == 0, done.stdout + done.stderr
        shown = done.stdout + done.stderr
        jobs = set(re.findall(r"^Job \d+: (.*)$", shown, re.MULTILINE))
        assert jobs or "Nothing to be done" in shown, shown
        return {job for job in jobs if not job.startswith(("settle ", "stamp "))}

    def rewrite(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))


@pytest.fixture(scope="session")
def fresh(tmp_path_factory) -> Workspace:
    """Nothing run yet; not to be changed."""
    return Workspace.new(tmp_path_factory.mktemp("fresh"))


@pytest.fixture(scope="session")
def smoke(tmp_path_factory) -> Workspace:
    """A finished smoke run; not to be changed."""
    workspace = Workspace.new(tmp_path_factory.mktemp("smoke"))
    done = workspace.snakemake("--cores", "2")
    assert done.returncode == 0, (done.stdout + done.stderr)[-8000:]
    return workspace


@pytest.fixture
def finished(smoke, tmp_path) -> Workspace:
    """A copy of the finished smoke run, to change."""
    return smoke.copy(tmp_path / "copy")
