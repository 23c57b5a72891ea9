"""`--choose`: which of a picture's edits is taken, by the rule of Table 3's scaled rows, and why.

Shapes: P pause counts. Pictures are uint8 [H,W,3].
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from madi.errors import MadiError

RULE = re.compile(
    r"(?P<objective>clip_dir|dino)(@(?P<guard>clip_dir|dino)>=(?P<bar>-?\d*\.?\d+))?|pause=(?P<pause>\d+)"
)
METRICS = {"clip_dir": "follows the captions", "dino": "keeps the source"}


@dataclass(frozen=True)
class Wish:
    """`--choose`: the highest `objective` among the edits whose `guard` is at least `bar`; or a fixed `pause`."""

    objective: str | None = None
    guard: str | None = None
    bar: float = 0.0
    pause: int | None = None

    @property
    def metrics(self) -> list[str]:
        return [name for name in (self.objective, self.guard) if name]


def wish(text: str, pauses: tuple[int, ...], captions: tuple[str, str] | None) -> Wish:
    """Reads `--choose`. Errors: MadiError for another form, or for what cannot be known without captions."""
    found = RULE.fullmatch(text.replace(" ", ""))
    if not found or found["objective"] and found["objective"] == found["guard"]:
        raise MadiError(
            f"found {text!r}", "--choose", "clip_dir, dino, clip_dir@dino>=0.91, dino@clip_dir>=0.1 or pause=8"
        )
    if found["pause"] is not None:
        if int(found["pause"]) not in pauses:
            raise MadiError(f"pause {found['pause']} is not made", "--choose", f"one of --pause {told(pauses)}")
        return Wish(pause=int(found["pause"]))
    if found["bar"] and not -1 <= float(found["bar"]) <= 1:
        raise MadiError(f"a bar of {found['bar']}", "--choose", "from -1 to 1: it is a cosine")
    made = Wish(found["objective"], found["guard"], float(found["bar"] or 0))
    if "clip_dir" in made.metrics and captions is None:
        do = "say --captions 'what it shows' 'what it is to show', or choose by dino or by a fixed pause (pause=8)"
        raise MadiError("clip_dir needs to know what the picture shows before and after", "--choose", do=do)
    if captions and not all(caption.strip() for caption in captions):
        raise MadiError("an empty caption", "--captions", "what the picture shows, and what it is to show")
    if captions and captions[0].split() == captions[1].split():
        raise MadiError("both captions are the same", "--captions", "what differs between source and edit")
    return made


def told(pauses) -> str:
    return ",".join(map(str, pauses))


def scored(source, made, captions, metrics, clip: Path, dino: Path) -> dict[str, list[float]]:
    """Each metric [P] of the edits, by the folders' models. An edit that embeds as its source does has clip_dir 0."""
    from madi.score.clip import Clip
    from madi.score.dino import Dino
    from madi.score.embed import cosine, direction

    found = {}
    if "dino" in metrics:
        model = Dino(dino)
        before, *after = model.images([model.prepare(image) for image in (source, *made)])
        found["dino"] = [cosine(before, one) for one in after]
    if "clip_dir" in metrics:
        model = Clip(clip)
        before, *after = model.images([model.prepare(image) for image in (source, *made)])
        values = [direction(before, one, *model.texts(captions)) for one in after]
        if values[0][1] and values[0][0] is None:
            raise MadiError(values[0][1], "--captions", "captions that this CLIP tells apart")
        found["clip_dir"] = [value for value, _ in values]
    return found


def choose(rule: Wish, pauses: tuple[int, ...], scores: dict[str, list[float]]) -> tuple[int | None, str]:
    """Index of the edit to take, None where none meets the bar, and why. The rule of Table 3's scaled rows."""
    from madi.tables import choose as tables

    if rule.pause is not None:
        return pauses.index(rule.pause), "the pause that was asked for"
    objective = np.array([scores[rule.objective]])
    if rule.guard is None:
        best, among = int(tables.best(objective)[0]), f"of {len(pauses)}"
    else:
        admitted = tables.admitted(np.array([scores[rule.guard]]), rule.bar)
        best, count = int(tables.best_within(objective, admitted)[0]), int(admitted.sum())
        among = f"of the {count} of {len(pauses)} with {rule.guard} >= {rule.bar:g}"
    if best == tables.NONE:
        return None, f"no edit has {rule.guard} >= {rule.bar:g} (the highest is {max(scores[rule.guard]):.3f})"
    return best, f"the highest {rule.objective}, {scores[rule.objective][best]:.3f}, {among}"
