"""Plans: an instruction spelt out in at most five sub-prompts (paper, section 9 and Figure 17).

They come from a multimodal model that sees the source, its caption and the instruction, from the sample's own truth
(scenes), or from the instruction's grammar (any instruction).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from pathlib import Path
from typing import Annotated

from pydantic import Field, create_model

from madi import samples, shards
from madi.chat import run as chats
from madi.chat.ask import Answer, English, Reply, Request, Unfit, fenced, prompt_sha
from madi.chat.pictures import shown
from madi.config import PlanSlice
from madi.mllms import Mllm
from madi.prompts import grammar
from madi.records import PLAN, SAMPLE
from madi.samples import Sample

SYSTEM = "You plan edits of pictures for a model that edits one thing at a time."
ASK = """Picture 1 is to be edited. What is asked for:
{instruction}
{caption}Look at the picture first. Where the words and the picture disagree, go by the picture.
Then split the edit into 1 to {steps} steps, in the order in which they should be done. Each step is one short
imperative sentence in English that names what it is about and where that is, so that it can be followed without the
others. All steps together make exactly the edit that is asked for, and leave everything else as it is. A simple edit
has few steps."""
CAPTION = "How the picture was described, which may be wrong:\n{caption}\n"
PROMPT_SHA = prompt_sha(SYSTEM, ASK, CAPTION)
MOST_PX = 768  # px: enough to see what is there, and a third of the tiles


def run(job: PlanSlice, file: Path, out: Path, part: int = 0, cache: Path | None = None, mllm: Mllm | None = None):
    """Write the plans of stretch `part` of the samples in `file`. cache: where a model's answers are kept;
    mllm: how it is reached."""
    total = shards.count(file, SAMPLE)
    start, stop = (total * number // job.shards for number in (part, part + 1))
    asked = sum(1 for key, sources, _, _ in samples.outlines(file, start, stop) if sources and mine(key, job))
    shards.write(out, plans(samples.stream(file, start, stop), job, cache, asked, mllm), PLAN)


def join(parts: Iterable[Path], out: Path) -> None:
    """Write the plans of all stretches as one file, in order."""
    shards.write(out, shards.stream(parts, PLAN), PLAN)


def plans(
    found: Iterable[Sample],
    job: PlanSlice,
    cache: Path | None = None,
    total: int = 0,
    mllm: Mllm | None = None,
) -> Iterator[dict]:
    """One row an edit that is to have a plan; text-to-image samples have none (section 9: plans are of edits)."""
    chat = chats.chat_with(mllm, cache, job.provider)
    wanted = (sample for sample in found if sample.count and mine(sample.id, job))
    model = (job.mllm.model, PROMPT_SHA) if job.mllm else ("none", "none")
    for request, reply in chat.ask((request_of(sample, job) for sample in wanted), total, "plans"):
        yield row(request.name, reply, job.provider, *model)


def mine(sample_id: str, job: PlanSlice) -> bool:
    return chosen(sample_id, job.share, job.seed)


def chosen(sample_id: str, share: float, seed: int) -> bool:
    """Whether a sample is among the `share` with a plan: by hash, so that other samples have no say in it."""
    place = int.from_bytes(hashlib.sha256(f"plan {seed} {sample_id}".encode()).digest()[:7], "big") / 2**56
    return place < share


@lru_cache
def steps_of(most: int) -> type[Answer]:
    """The schema of a plan of 1 to `most` steps."""
    step = Annotated[English, Field(min_length=1, max_length=400)]
    return create_model("Plan", __base__=Answer, steps=(list[step], Field(min_length=1, max_length=most)))


def request_of(sample: Sample, job: PlanSlice) -> Request:
    """What is asked of a sample."""
    schema = steps_of(job.steps)
    if job.mllm is None:
        known = from_grammar if job.provider == "grammar" else from_truth
        return Request(sample.id, sample.id, schema, truth=partial(known, sample, job.steps))
    caption = sample.row["source_caption"]
    words = {"instruction": fenced(sample.row["instruction"]), "steps": job.steps}
    words["caption"] = CAPTION.format(caption=fenced(caption)) if caption else ""
    picture = shown(sample.row["sources"][0]["bytes"], f"{sample.file} row {sample.number} column sources[0]", MOST_PX)
    return Request(sample.id, ASK.format(**words), schema, (picture,), SYSTEM)


def from_grammar(sample: Sample, steps: int) -> dict:
    return {"steps": grammar.plan(sample.row["instruction"], steps)}


def from_truth(sample: Sample, steps: int) -> dict:
    told = sample.spec().get("plan", [])[:steps]
    if not told:
        raise Unfit("the sample's spec holds no plan (provider grammar makes one of any instruction)")
    return {"steps": told}


def row(sample_id: str, reply: Reply, provider: str, model: str, sha: str) -> dict:
    """The Plan row of a sample, whose plan may be missing."""
    steps = [" ".join(step.split()) for step in reply.value.steps] if reply.value else []
    return {
        "sample_id": sample_id,
        "plan": steps,
        "provider": provider,
        "model": model,
        "prompt_sha": sha,
        "status": reply.status,
        "reason": reply.reason,
    }
