"""`python -m madi.watch COMMAND...`: run Snakemake, and tell in one line a job how far it is and how long it takes yet.

Snakemake counts steps, but a training is a step and so is writing a small file. Here each rule has a weight in seconds,
corrected by what its first jobs took. Once something fails, Snakemake's own words are shown unchanged.
"""

import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from madi.progress import clock

SECONDS = {  # of one job of the demo on two cores, other rules 0; only their ratio matters after the first jobs
    "data_prepare": 2,
    "data_latents": 18,
    "prompts_plan": 1,
    "prompts_questions": 1,
    "train_run": 76,
    "edit_shard": 35,
    "score_judge": 9,
    "score_shard": 12,
    "tables_build": 4,
    "tables_page": 8,
}
QUIET = 20.0  # seconds without a word before one is said
FAILURE = re.compile(r"(error: |Error\b|\w+(Error|Exception)\b)")
LOCKED = "error: this folder is locked: another run is going on, or one was killed; if none is, run `make unlock`"


@dataclass
class Forecast:
    """What is known of a workflow: jobs left by rule, jobs going on (id -> rule, message, start), seconds spent."""

    left: Counter = field(default_factory=Counter)
    going: dict[str, tuple[str, float]] = field(default_factory=dict)
    spent: float = 0.0
    planned: float = 0.0
    lanes: int = 1

    def start(self, job: str, message: str, now: float) -> None:
        self.going[job] = (message, now)
        self.lanes = max(self.lanes, len(self.going))

    def finish(self, job: str, rule: str, now: float) -> str:
        """The job's message; its time corrects the forecast."""
        message, since = self.going.pop(job, (rule, now))
        self.left[rule] -= 1
        if SECONDS.get(rule):
            self.spent += now - since
            self.planned += SECONDS[rule]
        return message

    def share(self) -> float:
        """Of the planned seconds, how much is done."""
        return self.planned / (self.planned + self._ahead()) if self.planned else 0.0

    def seconds(self, now: float) -> float:
        """Seconds left: the weights of what is left at the pace so far, over the jobs that go side by side."""
        pace = self.spent / self.planned if self.planned else 1.0
        begun = sum(now - since for _, since in self.going.values())
        return max(self._ahead() * pace - begun, begun / 4) / self.lanes  # what goes on is not about to end

    def _ahead(self) -> float:
        return sum(SECONDS.get(rule, 0) * count for rule, count in self.left.items())


def lines(output: Iterator[str], clocked=time.monotonic) -> Iterator[str]:
    """What to show of Snakemake's words."""
    forecast, begun, said, counting, failed = Forecast(), clocked(), clocked(), False, False
    for line in (text.rstrip("\n") for text in output):
        now = clocked()
        if "LockException" in line:
            yield LOCKED
            return
        failed = failed or bool(FAILURE.match(line))
        if failed or line.startswith(("Nothing to be done", "warning: ")):
            yield line
        elif line.startswith("Job stats:"):
            counting, forecast.left = True, Counter()
        elif counting:
            counting = _count(line, forecast.left)
        elif started := re.fullmatch(r"Job (\d+): (.*)", line):
            forecast.start(*started.groups(), now)
        elif ended := re.fullmatch(r"Finished jobid: (\d+) \(Rule: (\w+)\)", line):
            message = forecast.finish(*ended.groups(), now)
            if SECONDS.get(ended[2]):
                said = now
                yield f"{_state(forecast, begun, now)}  {message}: done"
        elif now - said > QUIET and re.search(r" \d+/\d+ ", line):
            said = now
            yield f"{_state(forecast, begun, now)}  {line}"


def _count(line: str, left: Counter) -> bool:
    """Takes one line of the table of jobs; whether the table goes on."""
    words = line.split()
    if len(words) == 2 and words[1].isdigit() and words[0] != "total":
        left[words[0]] = int(words[1])
    return bool(words) and words[0] != "total"


def _state(forecast: Forecast, begun: float, now: float) -> str:
    return f"[{clock(now - begun)}] {forecast.share():4.0%}, about {clock(forecast.seconds(now))} left"


def main(command: list[str]) -> int:
    """Run the command; returns its exit code."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    try:
        for line in lines(process.stdout):
            print(line, flush=True)
        process.stdout.read()
        return process.wait()
    except KeyboardInterrupt:  # Snakemake got the same signal: let it end its jobs
        process.communicate()
        print("interrupted: the same command goes on from here", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
