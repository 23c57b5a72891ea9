"""IDEA-Bench as its hub repository holds it: a folder a case.

`<task>_<case>/` holds `instruction.txt`, `meta.json`, the given pictures `0001.jpg` and up, `eval.json` and, for the
cases of the automatic evaluation, `auto_eval.jsonl`. `eval.json` has six yes/no items in three levels of two: an object
whose `questions` each have a `question` and what 0 points and 1 point stand for, or a plain list of questions.
`auto_eval.jsonl` has six judge's prompts, each with the names of the pictures that it is about. `task_split.json` at
the root says which task is of which kind; without it the kind follows from `meta.json`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from madi.data.readers.published import Rejected, picture, sample, words
from madi.errors import MadiError
from madi.shards import read_json

ITEMS = 6
LEFT_OUT = ("couple_icon", "id_photo")  # the paper's own: "all I2I tasks except couple icon and id photo generation"
KINDS = ("T2I", "I2I", "Is2I", "T2Is", "Is2Is")
FORMS = {"t": "T", "text": "T", "i": "I", "image": "I", "is": "Is", "images": "Is"}
NAMED = re.compile(r"(text|t|images|image|is|i)(?:2|to)(images|image|is|i)")
AUTO = "auto"  # the cases of the official automatic evaluation, of all kinds
# The tasks that the official aggregate counts (scripts/cal_scores.py, commit 63aacd4), by number.
CATEGORIES = {
    "T2I": ("0024", "0026", "0028"),
    "I2I": ("0063", "0072"),
    "Is2I": ("0064", "0065", "0073"),
    "T2Is": ("0014", "0015", "0016", "0017"),
    "Is2Is": ("0044", "0045", "0046", "0049"),
}
CATEGORY_OF = {uid: category for category, uids in CATEGORIES.items() for uid in uids}


def read(folder: Path, wanted: str = "I2I") -> Iterator[dict | Rejected]:
    """Cases of one kind, text or pictures to a picture or pictures, or (`auto`) those of the automatic evaluation.

    Errors: MadiError for no such kind, and for a folder without a case.
    """
    if wanted not in (*KINDS, AUTO):
        raise MadiError(f"idea_bench has no split {wanted!r}", folder, ", ".join((*KINDS, AUTO)))
    metas = sorted(folder.glob("**/meta.json"))
    if not metas:
        raise MadiError("no case with a meta.json", folder, "IDEA-Bench's folders", "fetch it, or name its folder")
    split = _split(folder)
    for number, path in enumerate(metas):
        meta = read_json(path)
        if is_of(wanted, path.parent, meta, split):
            yield case(path.parent, number, meta)


def is_of(wanted: str, folder: Path, meta: dict, split: dict[str, str]) -> bool:
    """Whether a case is one of those that are read."""
    if wanted == AUTO:
        return (folder / "auto_eval.jsonl").is_file()
    task = plain(str(meta.get("task_name", "")))
    return kind_of(meta, split) == wanted and not any(name in task for name in LEFT_OUT)


def case(folder: Path, number: int, meta: dict) -> dict | Rejected:
    """One case. `spec`: its items, its judge's prompts, the names of its given pictures, its task's number, and the
    category that the official aggregate counts it in (None: in none)."""
    text = folder / "instruction.txt"
    instruction = words(text.read_text(encoding="utf-8")) if text.is_file() else ""
    paths = sorted(folder.glob("[0-9]" * 4 + ".*"))
    shown = [picture(path.read_bytes()) for path in paths]
    if not instruction or None in shown or (meta.get("image_reference") and not shown):
        return Rejected(str(folder), number, "no instruction" if not instruction else "no source")
    try:
        items, prompts = _items(folder / "eval.json"), _prompts(folder / "auto_eval.jsonl")
    except ValueError as fault:
        return Rejected(str(folder), number, str(fault))
    uid = str(meta.get("uid", ""))
    spec = {"items": items, "prompts": prompts, "pictures": [path.stem for path in paths]}
    spec |= {"uid": uid, "category": CATEGORY_OF.get(uid)}
    more = {"task": str(meta.get("task_name", "")), "group_id": f"idea_bench-{folder.name}"}
    more |= {"spec": json.dumps(spec, sort_keys=True)}
    return sample(f"idea_bench-{folder.name}", (folder.name, number), instruction, shown, **more)


def kind_of(meta: dict, split: dict[str, str]) -> str:
    """A task's kind, as the root's list says, else by what its `meta.json` says of pictures."""
    if str(meta.get("uid")) in split:
        return split[str(meta["uid"])]
    given = "Is" if meta.get("multi_image_reference") else "I" if meta.get("image_reference") else "T"
    return kind(given, "Is" if meta.get("multi_image_output") else "I")


def kind(given: str, made: str) -> str:
    """One of KINDS: a picture or several to several pictures is one kind."""
    return "Is2Is" if (given, made) == ("I", "Is") else f"{given}2{made}"


def kind_named(name: str) -> str | None:
    """One of KINDS by a name such as "Is2I" or "image(s)-to-images"; None for what is no kind."""
    plain_name = re.sub(r"[^a-z0-9]", "", name.lower().replace("(s)", "s").replace("multi-)image", "images"))
    match = NAMED.fullmatch(re.sub(r"multiimages?", "images", plain_name))
    return kind(*(FORMS[part] for part in match.groups())) if match else None


def _split(folder: Path) -> dict[str, str]:
    """Kind by task number, from `task_split.json` where there is one: numbers by kind, or kinds by number."""
    path = next(iter(folder.glob("**/task_split.json")), None)
    told = read_json(path) if path else {}
    found = {}
    for key, value in told.items():
        pairs = [(one, key) for one in value] if isinstance(value, list) else [(key, value)]
        found |= {str(uid): kind_named(str(name)) for uid, name in pairs}
    return {uid: kind for uid, kind in found.items() if kind}


def _items(path: Path) -> list[dict]:
    """The items, two a level where the file gives no levels: `level`, `question`, and `standards` for 0 and 1 points if
    the file has them. Empty if there is no such file. Errors: ValueError, a few words."""
    if not path.is_file():
        return []
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError("eval.json is not JSON") from None
    items = told.get("questions") if isinstance(told, dict) else told
    if (
        not isinstance(items, list)
        or not items
        or not all(isinstance(item, dict) and isinstance(item.get("question"), str) for item in items)
    ):
        raise ValueError("eval.json without questions")
    return [_item(place, item) for place, item in enumerate(items)]


def _item(place: int, item: dict) -> dict:
    """An item in our words. Its standards are under keys that begin with their points."""
    level = item.get("level")
    found = {"level": level if isinstance(level, int) else 1 + place // 2, "question": words(item["question"])}
    by_points = {key.lstrip()[:1]: words(text) for key, text in item.items() if "point" in key and words(text)}
    return found | ({"standards": [by_points["0"], by_points["1"]]} if {"0", "1"} <= by_points.keys() else {})


def _prompts(path: Path) -> list[dict]:
    """The judge's prompts of a case: `question`, and the names of the pictures given and made that it is about, without
    their endings. Errors: ValueError, a few words."""
    if not path.is_file():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            told = json.loads(line) if line.strip() else None
        except ValueError:
            raise ValueError("auto_eval.jsonl is not JSON") from None
        if told is None:
            continue
        if not isinstance(told, dict) or not isinstance(told.get("question"), str):
            raise ValueError("auto_eval.jsonl without questions")
        names = {
            key: [Path(str(name)).stem for name in told.get(key) or ()] for key in ("input_images", "output_images")
        }
        found.append({"question": told["question"]} | names)
    return found


def plain(task: str) -> str:
    return task.lower().replace(" ", "_").replace("-", "_")
