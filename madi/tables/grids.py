"""Which samples the report's pictures show, by rules and never by hand, and each picture as a thumbnail."""

import base64
import hashlib
import io
from collections import defaultdict

import pandas as pd
from PIL import Image

from madi import images

THUMB_PX = 160  # the longer side at most; scenes of 128 px stay as they are
QUALITY = 82
MOST_APART = 8  # samples a benchmark that are shown because CLIP-Dir and the judge disagree on them


def choose(samples: list[dict], count: int, seed: int) -> list[str]:
    """Sample ids to show: tasks take turns, within a task the order is a seeded hash; groups (sessions) stay whole."""
    groups: dict[str, list[dict]] = defaultdict(list)
    for row in samples:
        groups[row["group_id"]].append(row)
    by_task: dict[str, list[str]] = defaultdict(list)
    for name in sorted(groups, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest()):
        by_task[min(str(row["task"]) for row in groups[name])].append(name)
    turns = sorted((turn, task, name) for task, names in by_task.items() for turn, name in enumerate(names))
    chosen: list[str] = []
    for _, _, name in turns:
        if len(chosen) >= count:
            break
        chosen += sorted(row["sample_id"] for row in groups[name])
    return chosen


def extremes(values: dict[str, float], tasks: dict[str, str]) -> dict[str, str]:
    """Sample -> top, median or worst of its task by value; equal values by id. A task of one sample has only a top,
    one of two has no median."""
    by_task: dict[str, list[str]] = defaultdict(list)
    for sample in sorted(values, key=lambda sample: (-values[sample], sample)):
        by_task[tasks[sample]].append(sample)
    found: dict[str, str] = {}
    for ordered in by_task.values():
        for place, why in ((0, "top"), (len(ordered) - 1, "worst"), ((len(ordered) - 1) // 2, "median")):
            found.setdefault(ordered[place], why)
    return found


def most_apart(apart: dict[str, float]) -> list[str]:
    """The MOST_APART samples whose two ranks are furthest apart, the furthest first; equal ones by id."""
    return sorted((sample for sample in apart if apart[sample] > 0), key=lambda s: (-apart[s], s))[:MOST_APART]


def ranks_apart(first: pd.Series, second: pd.Series) -> pd.Series:
    """By how much the ranks of two scores differ, as a share of the most that they can: 0, the same place; 1, first by
    one and last by the other. Nan where either score is not known, or where there is nothing to rank."""
    both = first.notna() & second.notna()
    places = [score[both].rank() for score in (first, second)]
    return ((places[0] - places[1]).abs() / max(int(both.sum()) - 1, 1)).reindex(first.index)


def thumbnail(data: bytes, where: str) -> str:
    """A WebP data URI of an encoded image, its longer side at most THUMB_PX."""
    image = Image.fromarray(images.decode(data, where))
    image.thumbnail((THUMB_PX, THUMB_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
