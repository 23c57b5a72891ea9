"""IDEA-Bench as its hub repository holds it: a folder a case.

`<task>_<case>/` holds `instruction.txt`, `meta.json`, the given pictures `0001.jpg` and up, `eval.json` (six yes/no
items in three levels of two) and, for some, `auto_eval.jsonl` (the judge's six prompts). `task_split.json` at the root
says which task is of which kind; without it the kind follows from `meta.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from madi.data.readers.published import Rejected, picture, sample, words
from madi.errors import MadiError
from madi.shards import read_json

LEFT_OUT = ("couple_icon", "id_photo")  # the paper's own: "all I2I tasks except couple icon and id photo generation"


def read(folder: Path, kind: str = "I2I") -> Iterator[dict | Rejected]:
    """Cases of one kind: text or pictures to picture or pictures (T2I, I2I, Is2I, T2Is, Is2Is)."""
    metas = sorted(folder.glob("**/meta.json"))
    if not metas:
        raise MadiError("no case with a meta.json", folder, "IDEA-Bench's folders", "fetch it, or name its folder")
    split = _split(folder)
    for number, path in enumerate(metas):
        meta = read_json(path)
        task = str(meta.get("task_name", ""))
        if kind_of(meta, split) == kind and not any(name in plain(task) for name in LEFT_OUT):
            yield case(path.parent, number, task, meta)


def case(folder: Path, number: int, task: str, meta: dict) -> dict | Rejected:
    """One case."""
    text = folder / "instruction.txt"
    instruction = words(text.read_text(encoding="utf-8")) if text.is_file() else ""
    shown = [picture(path.read_bytes()) for path in sorted(folder.glob("[0-9]" * 4 + ".*"))]
    if not instruction or None in shown or (meta.get("image_reference") and not shown):
        return Rejected(str(folder), number, "no instruction" if not instruction else "no source")
    judged = folder / "auto_eval.jsonl"
    prompts = [json.loads(line) for line in judged.read_text(encoding="utf-8").splitlines()] if judged.is_file() else []
    items = folder / "eval.json"
    spec = {"items": _items(items) if items.is_file() else [], "prompts": prompts, "uid": meta.get("uid")}
    more = {"task": task, "spec": json.dumps(spec, sort_keys=True), "group_id": f"idea_bench-{folder.name}"}
    return sample(f"idea_bench-{folder.name}", (folder.name, number), instruction, shown, **more)


def kind_of(meta: dict, split: dict[str, str]) -> str:
    """A task's kind, as the root's list says, else by what its `meta.json` says of pictures."""
    if str(meta.get("uid")) in split:
        return split[str(meta["uid"])]
    given = "Is" if meta.get("multi_image_reference") else "I" if meta.get("image_reference") else "T"
    return f"{given}2{'Is' if meta.get('multi_image_output') else 'I'}"


def _split(folder: Path) -> dict[str, str]:
    """Kind by task number, from `task_split.json` where there is one: lists of numbers by kind."""
    path = next(iter(folder.glob("**/task_split.json")), None)
    if path is None:
        return {}
    return {str(uid): kind for kind, uids in read_json(path).items() if isinstance(uids, list) for uid in uids}


def _items(path: Path) -> list[dict]:
    """The items, two a level where no level is told. Errors: MadiError naming the file that holds no questions."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as fault:
        raise MadiError(f"not JSON ({fault})", path, "six items") from None
    items = told if isinstance(told, list) else []
    if not items or not all(isinstance(item, dict) and isinstance(item.get("question"), str) for item in items):
        raise MadiError("no questions", path, 'a list of objects with "question"')
    return [{"level": 1 + place // 2} | item for place, item in enumerate(items)]


def plain(task: str) -> str:
    return task.lower().replace(" ", "_").replace("-", "_")
