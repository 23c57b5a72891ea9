"""The tables stage: each of its rules reads all scores once."""

from __future__ import annotations

from collections.abc import Iterator

from madi.cost import disk
from madi.cost.stages import At, Part
from madi.cost.told import Told

EACH = 0.0079  # s an edit and rule: the demo's three take 44 s of a core over 1,852 edits
RULES = ("tables_build", "tables_pictures", "tables_page")


def parts(at: At) -> Iterator[Part]:
    """Of the tables stage: each rule one job, over all edits."""
    count = sum(at.counts.edits.values())
    for number, rule in enumerate(RULES):
        each = EACH * count
        told = Told(rule, each, "s", "edits x s an edit and rule", {"edits": count, "s an edit": EACH})
        size, files = (disk.REPORT, disk.OF_TABLES) if number == 0 else (0.0, 2)
        yield Part(rule, (at.each("start") + each,), disk=size, files=files + disk.OF_JOB, told=(told,))
