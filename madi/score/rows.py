"""Rows by what they are of: an edit's sample and image, a sample's questions, an edit's answers. Each is there once."""

from __future__ import annotations

from pathlib import Path

from madi import images, records, shards
from madi.errors import MadiError
from madi.records import ANSWER, EDIT, EDIT_KEY, QUESTION
from madi.samples import Sample

Answers = dict[tuple[str, str], list[dict]]  # by edit id and protocol


def edits_of(path: Path, asked: dict[str, dict[str, Sample]]) -> tuple[list[dict], list[Sample]]:
    """The keys and statuses of a shard's edits, and their samples; no picture is read.

    Errors: MadiError for an edit that comes twice, bears another's id, or is of no sample.
    """
    rows, found, seen = [], [], Unrepeated("the edit", "make the edits again")
    for number, row in enumerate(shards.stream(path, EDIT, [*EDIT_KEY, "edit_id", "status"])):
        where = f"{path} row {number}"
        if row["edit_id"] != (right := records.edit_id(row)):
            what = f"{row['edit_id']}, but its key's id is {right}"
            raise MadiError(what, f"{where} column edit_id", "the id of the row's own key", "make the edits again")
        seen.add(tuple(row[name] for name in EDIT_KEY), where)
        rows.append(row)
        found.append(sample_of(row, asked, where))
    return rows, found


def image_of(edit: dict, where: str) -> bytes:
    """An edit's image, still encoded; empty if it has none. Errors: MadiError if its bytes are not those it was made
    with: another edit's, or changed."""
    data = (edit["image"] or {}).get("bytes") or b""
    if edit["image_sha"] and (found := images.sha256(data)) != edit["image_sha"]:
        what = f"its bytes hash to {found[:16]}, not to {edit['image_sha'][:16]}"
        raise MadiError(what, where, "the image that image_sha was taken of", "make the edits again")
    return data


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
    """Question rows by sample, in the order of the file. Errors: MadiError for a question that comes twice."""
    found: dict[str, list[dict]] = {}
    seen = Unrepeated("the question", "make the questions again")
    for number, row in enumerate(shards.stream(path, QUESTION)):
        seen.add((row["sample_id"], row["question_id"]), f"{path} row {number}")
        found.setdefault(row["sample_id"], []).append(row)
    return found


def by_edit(path: Path, known: set[str]) -> Answers:
    """Answer rows by edit and protocol, in the order of the file. known: ids of the edits that may be spoken of.

    Errors: MadiError for an answer about another edit, and for one that comes twice.
    """
    found: Answers = {}
    seen = Unrepeated("the answer", "ask the judge again")
    for number, row in enumerate(shards.stream(path, ANSWER)):
        where, edit = f"{path} row {number}", records.edit_id(row)
        told = tuple(row[name] for name in EDIT_KEY)
        if edit not in known:
            what = f"an answer about {'/'.join(map(str, told))}"
            raise MadiError(what, where, "one about an edit of this job", "ask the judge again")
        seen.add((*told, row["protocol"], row["question_id"], row["rollout"]), where)
        found.setdefault((edit, row["protocol"]), []).append(row)
    return found


class Unrepeated:
    """Holds that nothing comes twice. what: it for people; do: what to do then."""

    def __init__(self, what: str, do: str):
        self.what, self.do, self.seen = what, do, {}

    def add(self, key: tuple, where: str) -> None:
        if (first := self.seen.setdefault(key, where)) != where:
            raise MadiError(f"{self.what} {'/'.join(map(str, key))} is in {first} too", where, "each once", self.do)
