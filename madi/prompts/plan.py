"""Plans: an instruction spelt out in at most five sub-prompts (paper, section 9).

They come from the sample's own truth (scenes), or from the instruction's grammar (any instruction).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from madi import samples, shards
from madi.config import PlanSlice
from madi.progress import say
from madi.prompts import grammar
from madi.records import PLAN
from madi.samples import Sample


def run(job: PlanSlice, file: Path, out: Path) -> None:
    """Write the plans of the samples in `file`."""
    count = shards.write(out, plans(samples.stream(file), job), PLAN)
    say(f"plans for {count} edits, by {job.provider}")


def plans(found: Iterable[Sample], job: PlanSlice) -> Iterator[dict]:
    """One row an edit that is to have a plan; text-to-image samples have none (section 9: plans are of edits)."""
    for sample in found:
        if sample.count and chosen(sample.id, job.share, job.seed):
            yield plan(sample, job.steps, job.provider)


def chosen(sample_id: str, share: float, seed: int) -> bool:
    """Whether a sample is among the `share` with a plan: by hash, so that other samples have no say in it."""
    place = int.from_bytes(hashlib.sha256(f"plan {seed} {sample_id}".encode()).digest()[:7], "big") / 2**56
    return place < share


def plan(sample: Sample, steps: int, provider: str) -> dict:
    """The Plan row of a sample: at most `steps` sub-prompts."""
    if provider == "grammar":
        told = grammar.plan(sample.row["instruction"], steps)
    else:
        told = sample.spec().get("plan", [])[:steps]
    return {
        "sample_id": sample.id,
        "plan": told,
        "provider": provider,
        "model": "none",
        "prompt_sha": "none",
        "status": "ok" if told else "missing",
        "reason": None if told else "the sample's spec holds no plan (provider grammar makes one of any instruction)",
    }
