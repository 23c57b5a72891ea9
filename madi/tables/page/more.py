"""What the page shows besides tables: drawn pictures, the audit, questions, plans, stale cells, how it was made."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pandas as pd
from PIL import Image

from madi import images, shards
from madi.provenance import file_sha, git
from madi.records import LINEAGE, PLAN, QUESTION, SAMPLE, cell_id
from madi.tables.audit.finding import HOLDS, Finding
from madi.tables.audit.run import findings
from madi.tables.build import digest
from madi.tables.spec import TablesSpec
from madi.tables.write import table_name

ASKED, PLANNED = 1, 5  # samples whose questions, and whose plans, are shown
RULES = {
    "seeded": "Samples in a seeded order, tasks in turn.",
    "top": "The samples with the highest CLIP-Dir.",
    "median": "The samples nearest to the median CLIP-Dir.",
    "worst": "The samples with the lowest CLIP-Dir.",
    "spread": "Samples at even ranks of CLIP-Dir, from the lowest to the highest.",
    "disagree": "The samples on which the ranks by CLIP-Dir and by the judge differ most.",
}
FIGURE_1 = (
    "One training target as a training sees it: above, noised; below, noised and then masked where the noise level is "
    "high enough. Drawn by the functions that train; a masked token's place is shown in violet."
)


@dataclass(frozen=True)
class Files:
    """Where the page's other parts come from; what is None is left out."""

    lineage: Path | None = None
    figures: Path | None = None
    questions: Path | None = None
    plans: Path | None = None
    train: Path | None = None  # the samples that are planned
    timings: Path | None = None


NOTHING = Files()


@dataclass(frozen=True)
class Picture:
    """A drawn figure that is no plot of cells."""

    anchor: str
    name: str
    title: str
    caption: str
    uri: str


def pictures(folder: Path | None, spec: TablesSpec) -> list[Picture]:
    """Figure 1 and the grids, those that are there."""
    if folder is None:
        return []
    told = {"figure_1": ("Standard denoising and MAgD", FIGURE_1)}
    told |= {name: (grid.title, f"{RULES[grid.rule]} {grid.caption}".strip()) for name, grid in spec.grids.items()}
    return [
        Picture(name, table_name(name), title, caption, webp(folder / f"{name}.png"))
        for name, (title, caption) in told.items()
        if (folder / f"{name}.png").is_file()
    ]


def webp(path: Path) -> str:
    """A PNG as a WebP data URI: a tenth of its size."""
    file = io.BytesIO()
    Image.fromarray(images.decode(path.read_bytes(), str(path))).save(file, "WEBP", quality=82, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def audit(reported: str | Path) -> tuple[list[Finding], list[Finding]]:
    """What the audit of the paper's numbers found, and what holds."""
    found = findings(Path(reported))
    return [one for one in found if one.verdict != HOLDS], [one for one in found if one.verdict == HOLDS]


def questions(path: Path | None, samples: Path | None) -> list[tuple[str, list[dict]]]:
    """(instruction, questions) of the first samples that are judged (Figure 16)."""
    if path is None or samples is None:
        return []
    found: dict[str, list[dict]] = {}
    for row in shards.stream(path, QUESTION):
        if row["sample_id"] not in found and len(found) == ASKED:
            break
        found.setdefault(row["sample_id"], []).append(row)
    words = instructions(samples, set(found))
    return [(words[name], rows) for name, rows in found.items() if name in words]


def plans(path: Path | None, samples: Path | None) -> list[tuple[str, list[str]]]:
    """(instruction, steps) of the first samples that have a plan of several (Figures 17 and 18)."""
    if path is None or samples is None:
        return []
    whole = (row for row in shards.stream(path, PLAN) if row["status"] == "ok" and len(row["plan"]) > 1)
    found = {row["sample_id"]: row["plan"] for row in islice(whole, PLANNED)}
    words = instructions(samples, set(found))
    return [(words[name], steps) for name, steps in found.items() if name in words]


def instructions(samples: Path, wanted: set[str]) -> dict[str, str]:
    rows = shards.stream(shards.files(samples), SAMPLE, ["sample_id", "instruction"])
    return {row["sample_id"]: row["instruction"] for row in rows if row["sample_id"] in wanted}


def stale(cells: list[dict], lineage: Path | None, prints: dict[str, str]) -> set[str]:
    """Ids of the cells that rest on a score or picture that is another now: their digests say so."""
    if lineage is None:
        return set()
    rows = shards.frame(lineage, LINEAGE, ["cell_id", "score_id", "edit_id"])
    uses = {key: list(zip(some["score_id"], some["edit_id"])) for key, some in rows.groupby("cell_id", observed=True)}
    return {key for cell in cells if digest(uses.get(key := cell_id(cell), []), prints) != cell["digest"]}


@dataclass
class Made:
    """How the results were made; `stages`: rule, jobs, hours of all its jobs, most memory of one in GB."""

    git: str
    config: str
    data: dict[str, str]
    stages: list[tuple[str, int, float, float]] = field(default_factory=list)


def made(config, samples: dict[str, Path], timings: Path | None) -> Made:
    """The state of the code, of the configuration and of the data, and what each rule's jobs took."""
    sha = hashlib.sha256(config.model_dump_json().encode()).hexdigest()[:16]
    return Made(git(), sha, {name: file_sha(path)[:16] for name, path in samples.items()}, stages(timings))


def stages(timings: Path | None) -> list[tuple[str, int, float, float]]:
    """What Snakemake measured of the jobs that made what is there, by rule, the longest first."""
    found: dict[str, list[tuple[float, float]]] = {}
    for path in sorted(timings.rglob("*.tsv")) if timings else ():
        with path.open(newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                rule = path.relative_to(timings).parts[0].removesuffix(".tsv")
                took, most = (pd.to_numeric(row.get(name), errors="coerce") for name in ("s", "max_rss"))
                found.setdefault(rule, []).append((float(took), float(most)))
    rows = [
        (rule, len(jobs), sum(took for took, _ in jobs) / 3600, max(most for _, most in jobs) / 1024)
        for rule, jobs in found.items()
    ]
    return sorted(rows, key=lambda row: -row[2])
