"""Rows by what they are of: an edit's sample, a sample's questions, an edit's answers."""

from __future__ import annotations

from pathlib import Path

from madi import records, shards
from madi.errors import MadiError
from madi.records import ANSWER, QUESTION
from madi.samples import Sample

Answers = dict[tuple[str, str], list[dict]]  # by edit id and protocol


def sample_of(edit: dict, asked: dict[str, dict[str, Sample]], where: str) -> Sample:
    """The sample that an edit is of."""
    if edit["benchmark"] not in asked:
        name = edit["benchmark"]
        raise MadiError(f"edit of {name}", f"{where} column benchmark", f"--benchmark {name}=FILE on the command line")
    if edit["sample_id"] not in asked[edit["benchmark"]]:
        raise MadiError(
            f"edit of {edit['sample_id']!r}",
            f"{where} column sample_id",
            f"one of the {len(asked[edit['benchmark']])} samples of {edit['benchmark']}",
            "make the edits again",
        )
    return asked[edit["benchmark"]][edit["sample_id"]]


def by_sample(path: Path) -> dict[str, list[dict]]:
    """Question rows by sample, in the order of the file."""
    found: dict[str, list[dict]] = {}
    for row in shards.stream(path, QUESTION):
        found.setdefault(row["sample_id"], []).append(row)
    return found


def by_edit(path: Path) -> Answers:
    """Answer rows by edit and protocol, in the order of the file."""
    found: Answers = {}
    for row in shards.stream(path, ANSWER):
        found.setdefault((records.edit_id(row), row["protocol"]), []).append(row)
    return found
