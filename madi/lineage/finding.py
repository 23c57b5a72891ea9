"""What a check of a workflow's results found, and what it went through."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from madi.errors import MadiError


class Finding(NamedTuple):
    """Something that is not as recorded. group: what kind of thing; edit: the id of the edit it is about, if of one."""

    group: str
    where: str
    what: str
    edit: str = ""


@dataclass
class Seen:
    """What the checks hand on to one another. shas: of weights folders that were read, by path."""

    counts: Counter = field(default_factory=Counter)
    edits: set[str] = field(default_factory=set)
    shas: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # what could not be looked at, and is no fault


def fault(group: str, problem: MadiError) -> Finding:
    """A file that cannot be read, as a finding."""
    return Finding(group, str(problem.where or ""), problem.what)


def differences(here: object, there: object, path: str = "") -> list[tuple[str, object, object]]:
    """(dotted path, value here, value there) of all that differs between two pieces of JSON."""
    if isinstance(here, dict) and isinstance(there, dict):
        names = dict.fromkeys([*here, *there])
        return [
            one
            for name in names
            for one in differences(here.get(name), there.get(name), f"{path}.{name}" if path else str(name))
        ]
    return [] if here == there else [(path, here, there)]
