"""A prepared set to look at before anything is trained on it: what is in it, what was left out, and some of it.

One HTML page that opens from disk; all text from data is escaped.
"""

from __future__ import annotations

import heapq
import io
import json
import statistics
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import jinja2
from PIL import Image

from madi import images, samples, shards
from madi.data.stream import draw
from madi.errors import MadiError
from madi.records import PLAN
from madi.samples import Sample

THUMB = 192  # px a side
AREAS = 500  # regions that are measured


@dataclass
class Facts:
    """Counts over a whole set. widths of instructions in words; areas: shares of a picture that regions cover."""

    total: int = 0
    sources: Counter = field(default_factory=Counter)
    tasks: Counter = field(default_factory=Counter)
    sizes: Counter = field(default_factory=Counter)
    given: Counter = field(default_factory=Counter)
    words: list[int] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    regions: int = 0
    planned: int = 0
    instructions: Counter = field(default_factory=Counter)

    def add(self, sample: Sample, planned: bool) -> None:
        row = sample.row
        self.total += 1
        self.sources[row["set"]] += 1
        self.tasks[row["task"] or "none"] += 1
        self.given[sample.count] += 1
        self.words.append(len(row["instruction"].split()))
        self.instructions[row["instruction"].lower()] += 1
        self.planned += planned
        shown = [*row["sources"], *([row["target"]] if row["target"] else [])]
        if shown:
            with Image.open(io.BytesIO(shown[0]["bytes"]), formats=images.FORMATS) as image:  # its head alone
                self.sizes["{}x{}".format(*image.size)] += 1
        if row["region"]:
            self.regions += 1
            if len(self.areas) < AREAS:
                self.areas.append(float((sample.region() == 255).mean()))

    def table(self) -> list[tuple[str, str]]:
        """What there is to say, line by line."""
        repeated = sum(count - 1 for count in self.instructions.values())
        said = [
            ("samples", f"{self.total:,}"),
            ("sources", listed(self.sources)),
            ("tasks", listed(self.tasks)),
            ("source pictures a sample", listed(self.given)),
            ("picture sizes", listed(self.sizes)),
            ("words an instruction", spread(self.words, "{:.0f}")),
            ("instructions that repeat another", f"{repeated:,}"),
            ("with a plan", f"{self.planned:,}"),
            ("with a region", f"{self.regions:,}"),
        ]
        return [*said, ("share of the picture in a region", spread(self.areas, "{:.0%}"))] if self.areas else said


def run(where: Path, out: Path, count: int, seed: int, plans: Path | None) -> None:
    """Write the page of a set's samples (a file, or the folder that holds it) to `out`, with `count` of them shown.

    plans: default, those of the scale that the set belongs to, if there are any. Errors: MadiError for no such set.
    """
    path = where / "samples.json" if where.is_dir() else where
    plans = plans or next((p for p in [path.parent.parent.parent / "prompts" / "plans.parquet"] if p.is_file()), None)
    told = {row["sample_id"]: row["plan"] for row in shards.stream(plans, PLAN)} if plans else {}
    facts, chosen = Facts(), []
    for number, sample in enumerate(samples.stream(path)):
        facts.add(sample, sample.id in told)
        entry = (-draw(seed, sample.id), number, sample)
        heapq.heappush(chosen, entry) if len(chosen) < count else heapq.heappushpop(chosen, entry)
    if not facts.total:
        raise MadiError("no samples", path, "a prepared set")
    shown = [view(sample, told.get(sample.id, [])) for _, _, sample in sorted(chosen, key=lambda one: one[1])]
    report = path.parent / "report.json"
    left = shards.read_json(report) if report.is_file() else {}
    page = template().render(title=path, facts=facts.table(), left=left_out(left), rows=shown, total=facts.total)
    with shards.atomic(out) as partial:
        partial.write_text(page, encoding="utf-8")


def view(sample: Sample, plan: list[str]) -> dict:
    """What the page shows of a sample."""
    row = sample.row
    pictures = [("source", sample.source(index)) for index in range(sample.count)]
    pictures += [("region", sample.region())] if row["region"] else []
    pictures += [("target", sample.target())] if row["target"] else []
    facts = [row["set"], row["task"], f"level {row['complexity']}" if row["complexity"] else None]
    return {
        "id": sample.id,
        "instruction": row["instruction"],
        "plan": plan,
        "facts": " · ".join(str(fact) for fact in facts if fact),
        "captions": [c for c in (row["source_caption"], row["target_caption"]) if c],
        "pictures": [(name, images.thumbnail_uri(image, THUMB)) for name, image in pictures],
    }


def left_out(report: dict) -> list[tuple[str, str, list[str]]]:
    """What was left out: reason, how many, examples."""
    examples = report.get("examples", {})
    found = [(reason, count, examples.get(reason, [])) for reason, count in report.get("rejected", {}).items()]
    if some := report.get("duplicates"):
        found.append(("duplicates", len(some), some))
    if some := report.get("leaks"):
        found.append(("leaks", len(some), [json.dumps(leak, sort_keys=True) for leak in some]))
    for name, numbers in report.get("missing_shards", {}).items():
        found.append((f"missing shards of {name}", len(numbers), [", ".join(map(str, numbers[:20]))]))
    return [(reason, f"{count:,}", some[:5]) for reason, count, some in found]


def listed(counts: Counter, most: int = 12) -> str:
    """The most frequent, with their counts."""
    shown = ", ".join(f"{name} {count:,}" for name, count in counts.most_common(most))
    return shown + (f", and {len(counts) - most} others" if len(counts) > most else "")


def spread(values: list, form: str) -> str:
    """Least, middle and most."""
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{form.format(low)} to {form.format(high)}, median {form.format(middle)}"


def template() -> jinja2.Template:
    """The page's, which escapes whatever comes from data."""
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("show.html.j2")
