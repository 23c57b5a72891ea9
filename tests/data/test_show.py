"""The page of a set: every number right, every text escaped, the pictures in it."""

import html

import published as made
import pytest

from madi import shards
from madi.cli import main
from madi.records import PLAN, SAMPLE


@pytest.fixture
def folder(tmp_path):
    """Three samples of two sources, one with markup in its words."""
    base = {"split": "train", "phash": "", "sha256": "", "origin": {"file": "f", "row": 0, "revision": ""}}
    picture = {"bytes": made.encoded(0), "path": None}
    region = {"bytes": made.holed(), "path": None}  # a sixteenth of a bright picture is transparent
    evil = "<script>alert('x')</script> make it red"
    rows = [
        base
        | {"sample_id": "a", "group_id": "a", "set": "one", "task": "local", "instruction": evil}
        | {"region": region},
        base | {"sample_id": "b", "group_id": "b", "set": "one", "task": "local", "instruction": "make it red"},
        base | {"sample_id": "c", "group_id": "c", "set": "two", "instruction": "Make it red"},
    ]
    rows = [row | {"sources": [picture] * (row["sample_id"] != "c"), "target": picture} for row in rows]
    shards.write(tmp_path / "data/train/samples/00000.parquet", rows, SAMPLE)
    shards.write_json(tmp_path / "data/train/samples.json", {"shards": [{"file": "samples/00000.parquet"}]})
    plan = {
        "sample_id": "b",
        "plan": ["look <b>", "act"],
        "provider": "x",
        "model": "x",
        "prompt_sha": "x",
        "status": "ok",
    }
    shards.write(tmp_path / "prompts/plans.parquet", [plan], PLAN)
    report = {"samples": 3, "rejected": {"no <target>": 2}, "examples": {"no <target>": ["file row 7"]}}
    shards.write_json(tmp_path / "data/train/report.json", report | {"duplicates": ["z"], "leaks": []})
    return tmp_path / "data/train"


def test_facts_pictures_and_what_was_left_out_are_there(folder, tmp_path, capsys):
    assert main(["data", "show", str(folder), "--out", str(tmp_path / "show.html")]) == 0
    page = (tmp_path / "show.html").read_text()
    text = html.unescape(page)
    assert "one 2, two 1" in text and "local 2, none 1" in text and "48x48 3" in text and "6% to 6%" in text
    assert "3 to 4, median 3" in text and text.count("data:image/jpeg;base64,") == 6
    assert "no <target>" in text and "file row 7" in text and "duplicates" in text and "look <b>" in text
    assert "<script" not in page and "<b>" not in page and "<target>" not in page


def test_fewer_rows_are_the_same_ones_each_time(folder, tmp_path):
    pages = []
    for name in ("a", "b"):
        assert main(["data", "show", str(folder), "--rows", "1", "--out", str(tmp_path / name)]) == 0
        pages.append((tmp_path / name).read_text())
    assert pages[0] == pages[1] and pages[0].count("<article>") == 1


def test_a_set_that_is_not_there_is_one_line(tmp_path, capsys):
    assert main(["data", "show", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
