"""Pictures of the report: which samples are shown, by a rule and never by hand, and each edit as a thumbnail."""

import base64
import hashlib
import io
from collections import defaultdict
from dataclasses import dataclass, field

from PIL import Image

from madi import images
from madi.tables.spec import TablesSpec

THUMB_PX = 160  # the longer side at most; scenes of 128 px stay as they are
QUALITY = 82


@dataclass
class Shown:
    """One picture with its caption."""

    caption: str
    uri: str | None  # None: the edit failed
    note: str = ""


@dataclass
class Card:
    """One sample: what was given, one right answer, and what each system made of it."""

    sample_id: str
    kind: str  # task, level or tag
    instruction: str
    given: list[Shown] = field(default_factory=list)
    systems: list[tuple[str, str, list[Shown]]] = field(default_factory=list)  # title, colour, pictures


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


def thumbnail(data: bytes, where: str) -> str:
    """A WebP data URI of an encoded image, its longer side at most THUMB_PX."""
    image = Image.fromarray(images.decode(data, where))
    image.thumbnail((THUMB_PX, THUMB_PX), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, format="WEBP", quality=QUALITY, method=4)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def kind_of(sample: dict) -> str:
    """A chip's text: the task, and the level where it says more."""
    level = sample["complexity"]
    if level and level > 1:
        return f"level {level}"
    turn = f", turn {sample['turn']}" if sample.get("turn") else ""
    return str(sample["task"] or "").replace("_", " ") + turn


def card(sample: dict, edits: dict, systems: list[str], marks: dict[str, str], spec: TablesSpec) -> Card:
    """A sample's card. `edits`: (editor, pause) -> Edit row, of this sample; `marks`: edit_id -> a short note."""
    made = Card(sample["sample_id"], kind_of(sample), sample["instruction"])
    many = len(sample["sources"]) > 1
    for number, image in enumerate(sample["sources"], 1):
        uri = thumbnail(image["bytes"], f"sample {sample['sample_id']} source {number}")
        made.given.append(Shown(f"source {number}" if many else "source", uri))
    if sample["target"]:
        uri = thumbnail(sample["target"]["bytes"], f"sample {sample['sample_id']} target")
        made.given.append(Shown("one right answer", uri))
    for name in systems:
        system = spec.systems[name]
        mine = sorted((pause, editor) for editor, pause in edits if editor in system.editors[:1])
        shown = [picture(pause, edits[editor, pause], len(mine) > 1, marks) for pause, editor in mine]
        if shown:
            made.systems.append((system.title, system.colour, shown))
    return made


def picture(pause: int, row: dict, scaled: bool, marks: dict[str, str]) -> Shown:
    caption = f"{pause} pauses" if scaled else ""
    if not row["image"]:
        return Shown(caption, None, row["reason"] or row["status"])
    return Shown(caption, thumbnail(row["image"]["bytes"], f"edit {row['edit_id']}"), marks.get(row["edit_id"], ""))
