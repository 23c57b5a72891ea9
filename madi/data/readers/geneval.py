"""GenEval's prompts: `evaluation_metadata.jsonl`, a line each: `tag`, `prompt`, `include` and maybe `exclude`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from madi.data.readers.published import Rejected, files, sample, words
from madi.errors import MadiError

TAGS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")


def read(folder: Path) -> Iterator[dict | Rejected]:
    """A text-to-image sample a line, its rule in `spec`. Errors: MadiError naming a line that is no rule."""
    (path, *_) = files(folder, "**/evaluation_metadata.jsonl")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        try:
            rule = json.loads(line)
        except ValueError as fault:
            raise MadiError(f"not JSON ({fault})", f"{path} line {number + 1}", "an object a line") from None
        if rule.get("tag") not in TAGS or not rule.get("include"):
            raise MadiError(f"tag {rule.get('tag')!r}", f"{path} line {number + 1}", f"one of {', '.join(TAGS)}")
        prompt = words(rule.get("prompt"))
        if not prompt:
            yield Rejected(str(path), number, "no instruction")
            continue
        spec = json.dumps({"geneval": rule}, sort_keys=True)
        yield sample(f"geneval-{number:05}", (path.name, number), prompt, task=rule["tag"], spec=spec)
