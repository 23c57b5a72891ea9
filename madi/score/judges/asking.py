"""What a protocol asks about one edit, and the Answer rows that come of it. One shape for all protocols and judges."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Literal

from pydantic import BeforeValidator

from madi import images
from madi.chat.ask import Reply, Request
from madi.chat.pictures import shown
from madi.samples import Sample
from madi.score.outcome import key_of


def number_words(low: int, high: int):
    """The type of a whole number from `low` to `high` as a word: enumerations of numbers are not taken everywhere."""
    words = tuple(str(number) for number in range(low, high + 1))
    return Annotated[Literal[words], BeforeValidator(lambda v: str(v) if type(v) is int else v)]


@dataclass(frozen=True, eq=False)
class Case:
    """An edit to be judged. edit: its row without the image; image: its bytes; where: its place, for people."""

    edit: dict
    sample: Sample
    image: bytes
    where: str
    questions: tuple[dict, ...] = ()

    @cached_property
    def sources(self) -> tuple[bytes, ...]:
        where = f"{self.sample.file} row {self.sample.number} column sources"
        return tuple(shown(one["bytes"], where) for one in self.sample.row["sources"])

    @cached_property
    def made(self) -> bytes:
        return shown(self.image, self.where)

    @cached_property
    def verdict(self):
        """What the scene's truth says of the edit."""
        from madi.scenes.truth import judge
        from madi.scenes.world import Scene

        spec = self.sample.spec()
        pixels = images.decode(self.image, self.where)
        return judge([Scene.from_dict(scene) for scene in spec["sources"]], spec["ops"], pixels)

    def named(self, protocol: str) -> str:
        """The edit's name for people."""
        edit = self.edit
        return f"{protocol} {edit['editor']}/{edit['sample_id']}/{edit['pause']}/{edit['seed']}"


@dataclass(frozen=True)
class Item:
    """One number of an answer: the field that holds it, and how its key becomes a value (None: nothing)."""

    question_id: str
    field: str
    most: int
    scaled: bool = False  # from 0..most to 1..10
    real: bool = False  # the field is the value, and no key


@dataclass(frozen=True, eq=False)
class Asking:
    """One call about one edit. request: None where there is nothing to ask about, for the reason."""

    edit: dict
    protocol: str
    rollout: int
    order: str
    prompt_sha: str
    items: tuple[Item, ...]
    request: Request | None = None
    reason: str | None = None

    def rows(self, reply: Reply | None, judge: str, temperature: float) -> Iterator[dict]:
        """The Answer rows: a failure is missing in each of them, never a number. Money stands in the first alone."""
        for number, item in enumerate(self.items):
            said = getattr(reply.value, item.field) if reply and reply.value else None
            key = None if said is None or item.real else int(said)
            undecided = key == -1
            value = None if said is None or undecided else 1 + 9 * key / item.most if item.scaled else float(said)
            used = reply if reply and number == 0 else None
            yield key_of(self.edit) | {
                "protocol": self.protocol,
                "question_id": item.question_id,
                "rollout": self.rollout,
                "judge": judge,
                "revision": reply.revision if reply else "",
                "temperature": temperature,
                "order": self.order,
                "prompt_sha": self.prompt_sha,
                "key": key,
                "value": value,
                "status": "undecided" if undecided else "ok" if said is not None else "missing",
                "reason": reply.reason if reply else self.reason,
                "raw": used.raw if used else "",
                "tokens_in": used.tokens_in if used else 0,
                "tokens_out": used.tokens_out if used else 0,
                "cost": used.cost if used else 0.0,
            }


def mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
