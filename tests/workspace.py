"""Folders that the workflow runs in, for the tests of it: on these cores, and through SLURM."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
SNAKEMAKE = Path(sys.executable).parent / "snakemake"
LINKED = ("Snakefile", "workflow", "profiles", "environment.yml")
COPIED = ("config", "assets")
# what must repeat, byte for byte, whoever runs it and wherever
KEPT = ("tables/table_*", "tables/tables.tex", "figures/*", "*.parquet", "*/*/*.parquet", "runs/*/weights/**/*")
KEPT += ("report.html",)


class Workspace:
    """A folder that a workflow runs in: the repository's rules, and a config and weights of its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.results = folder / "results/smoke"

    @classmethod
    def new(cls, folder: Path) -> "Workspace":
        for name in LINKED:
            (folder / name).symlink_to(ROOT / name)
        for name in COPIED:
            shutil.copytree(ROOT / name, folder / name)
        (folder / "slurm").symlink_to("config/slurm")
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
        jobs = set(re.findall(r"^ *Job \d+: (.*?)(?: \(mem_mb=.*\))?$", shown, re.MULTILINE))
        assert jobs or "Nothing to be done" in shown, shown
        return {job for job in jobs if not job.startswith(("settle ", "stamp "))}

    def rewrite(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    def kept(self) -> list[str]:
        """Names of the files that must repeat."""
        found = (path for form in KEPT for path in self.results.glob(form) if path.is_file())
        return sorted(str(path.relative_to(self.results)) for path in found)

    def differences(self, other: "Workspace") -> list[str]:
        """Which of them another run made otherwise, or only one of both made."""
        mine, others = self.kept(), other.kept()
        changed = {name for name in mine if name in others and self.lasting(name) != other.lasting(name)}
        return sorted(changed | set(mine) ^ set(others))

    def lasting(self, name: str) -> bytes:
        """A file's bytes; of the report, without what it says of how long it took."""
        content = (self.results / name).read_bytes()
        return re.sub(rb"<section[^>]*data-varies>.*?</section>", b"", content, flags=re.S)
