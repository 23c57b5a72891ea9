"""How long Snakemake takes to plan a large grid of trainings, and to find that nothing is left of a finished one.

The grid is laid over the smoke scale in a temporary folder; nothing of it is run. That it is finished is made up: every
output is an empty file, and Snakemake's record of it is written by Snakemake itself (`dag_finished`).
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import yaml

from madi.errors import MadiError
from madi.progress import say
from madi.shards import write_json

ROOT = Path(__file__).parents[2]
NEEDED = ("Snakefile", "workflow", "profiles", "environment.yml", "config", "assets")
SETS = ("emu_edit", "magicbrush", "complex_edit", "idea_bench", "geneval")
LEVELS = 10  # values of the second axis


@dataclass(frozen=True)
class Row:
    """A grid of `runs` trainings, each edited, judged and scored over five benchmarks in `shards`.

    plan_s: until all `jobs` are known and what they need; dry_run_s: until all are told, too. check_s: of a finished
    one, until nothing is found to do and Snakemake has ended. cpu: the same in seconds of a core, which a busy machine
    stretches less. memory_mb: the most of all. load: of the machine as it began, processes a core.
    """

    runs: int
    shards: int
    jobs: int
    plan_s: float
    plan_cpu_s: float
    dry_run_s: float
    check_s: float
    check_cpu_s: float
    memory_mb: float
    load: float


def measure(runs: int, shards: int) -> Row:
    """Errors: MadiError where the rules are not beside the package, or Snakemake does something else than is asked."""
    if not (ROOT / "Snakefile").is_file():
        raise MadiError("no Snakefile", ROOT, "a clone of the repository")
    load = os.getloadavg()[0] / (os.cpu_count() or 1)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in NEEDED:
            (folder / part).symlink_to(ROOT / part)
        (folder / "grid.yaml").write_text(yaml.safe_dump(grid(runs, shards)))
        say(f"planning {runs} runs in {shards} shards")
        plan = call(folder, ["-m", "snakemake"], "Job stats:")
        jobs = int(re.search(r"^total +(\d+)", plan.output, re.MULTILINE)[1])
        say(f"{jobs} jobs planned in {plan.mark_s:.0f} s; making them up")
        call(folder, ["-m", "madi.bench.dag_finished", "--touch"], None)
        check = call(folder, ["-m", "snakemake"], "Nothing to be done")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return Row(
        *(runs, shards, jobs, plan.mark_s, plan.mark_cpu_s, plan.whole_s),
        *(check.whole_s, check.whole_cpu_s, memory, load),
    )


def grid(runs: int, shards: int) -> dict:
    """A block of so many runs, to be laid over the smoke scale."""
    if runs % LEVELS:
        raise MadiError(f"found {runs}", "--runs", f"a multiple of {LEVELS}")
    count = runs // LEVELS
    axes = {
        "magd.rate": [round((n + 1) / (count + 1), 6) for n in range(count)],
        "magd.noise_level": [round((n + 1) / (LEVELS + 1), 6) for n in range(LEVELS)],
    }
    load = {"like": "magd_ep", "axes": axes, "benchmarks": list(SETS), "pauses": [0, 8, 16, 32]}
    return {"grids": {"load": load}, "edit": {"shards": shards}}


@dataclass(frozen=True)
class Call:
    """What Snakemake said, and the seconds until a line that was waited for, and of all of it."""

    output: str
    mark_s: float
    mark_cpu_s: float
    whole_s: float
    whole_cpu_s: float


def call(folder: Path, module: list[str], mark: str | None) -> Call:
    """A dry run, or what makes one up. Errors: MadiError where it fails or `mark` is not told."""
    files = ["--configfile", "config/smoke.yaml", "grid.yaml"]
    dry = [] if "--touch" in module else ["--dry-run"]
    command = [sys.executable, *module, "--cores", "2", "--quiet", "all", *dry, *files]
    start, before = time.perf_counter(), children_s()
    found, lines = (0.0, 0.0), []
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    here = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    with subprocess.Popen(command, cwd=folder, env=here, **pipes) as running:
        for line in running.stdout:
            lines.append(line)
            if mark and not found[0] and line.startswith(mark):
                found = time.perf_counter() - start, of_process(running.pid)
    if running.returncode or (mark and not found[0]):
        raise MadiError(f"snakemake did not say {mark!r}", "bench", "a plan", "".join(lines[-3:]).strip()[-300:])
    whole = time.perf_counter() - start, children_s() - before
    return Call("".join(lines), *found, *whole)


def children_s() -> float:
    """Seconds of a core that ended processes took."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def of_process(pid: int) -> float:
    """Seconds of a core that a running process took."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def tell(rows: list[Row], path: Path | None) -> None:
    """Print the rows for a person, and write them to `path` if there is one."""
    print("| runs | shards | jobs | plan s (of a core) | dry run s | check s (of a core) | MB | load |")
    print("|---:|---:|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        plan, check = f"{row.plan_s:.0f} ({row.plan_cpu_s:.0f})", f"{row.check_s:.0f} ({row.check_cpu_s:.0f})"
        numbers = f"{plan} | {row.dry_run_s:.0f} | {check} | {row.memory_mb:.0f} | {row.load:.1f}"
        print(f"| {row.runs:,} | {row.shards} | {row.jobs:,} | {numbers} |")
    if path is not None:
        write_json(path, [asdict(row) for row in rows])
