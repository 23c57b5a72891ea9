"""The edit job: same bytes however often it is interrupted, one row a work, faults named."""

import subprocess
import sys

import numpy as np
import pytest

from madi import images, records, samples, shards
from madi.config import EditSlice, edit_sha
from madi.edit import shard
from madi.edit.editors import reference
from madi.edit.parts import Parts
from madi.edit.work import Result, Work, plan, record, taken
from madi.errors import MadiError

REFERENCES = ("copy", "truth", "other_truth")


def picture(seed, size=32):
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def sample_row(number, group=None, sources=1, target=True, follows=None):
    return {
        "sample_id": f"s{number}",
        "set": "emu_edit",
        "split": "bench",
        "group_id": group or f"g{number}",
        "follows": follows,
        "sources": [images.picture(picture(100 * number + k)) for k in range(sources)],
        "target": images.picture(picture(100 * number + 50)) if target else None,
        "instruction": f"edit {number}",
        "phash": "0" * 16,
        "sha256": "0" * 64,
        "origin": {"file": "made", "row": number, "revision": "0"},
    }


def write_samples(path, rows):
    shards.write(path, rows, records.SAMPLE)
    return path


def job(editors=REFERENCES, asks=None, batch=2):
    return EditSlice.model_validate(
        {
            "job": "references",
            "name": "test",
            "threads": 1,
            "size_px": 32,
            "base": "nowhere",
            "sampler": {"steps": 2, "guidance": 2.5, "image_guidance": 1.5, "batch": batch},
            "editors": {name: {"kind": name, "run": None} for name in editors},
            "asks": asks or [{"benchmark": "emu_edit", "editors": list(editors), "pauses": [0], "seeds": [0]}],
        }
    )


@pytest.fixture
def files(tmp_path):
    return {"emu_edit": write_samples(tmp_path / "samples.parquet", [sample_row(n) for n in range(5)])}


def make(files, folder, work=None):
    shard.run(work or job(), files, {}, folder / "edits.parquet", folder / "contact.jpg")
    return (folder / "edits.parquet").read_bytes(), (folder / "contact.jpg").read_bytes()


def test_an_interrupted_job_goes_on_and_gives_the_same_bytes(files, tmp_path, monkeypatch):
    whole = make(files, tmp_path / "whole")
    made, edit = [], reference.Truth.edit

    def faulty(self, works):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append([work.sample.id for work in works])
        return edit(self, works)

    monkeypatch.setattr(reference.Truth, "edit", faulty)
    with pytest.raises(KeyboardInterrupt):
        make(files, tmp_path / "cut")
    finished = sorted((tmp_path / "cut" / "edits.parts").rglob("*.parquet"))
    assert len(finished) == 3 + 2  # all of copy, two of truth
    assert not (tmp_path / "cut" / "edits.parquet").exists()
    made.clear()
    assert make(files, tmp_path / "cut") == whole
    assert made == [["s4"]]  # only what was left of truth was made
    assert not (tmp_path / "cut" / "edits.parts").exists()


def test_parts_of_another_job_are_not_taken_up(files, tmp_path):
    keys = {
        shard.fingerprint(job(), files, {}),
        shard.fingerprint(job(batch=3), files, {}),
        shard.fingerprint(job(), {"emu_edit": write_samples(tmp_path / "other.parquet", [sample_row(9)])}, {}),
    }
    assert len(keys) == 3
    parts = Parts(tmp_path / "edits.parquet", "old")
    work = Work("copy", "emu_edit", samples.Sample(sample_row(0), "made", 0), 0, 0)
    parts.write(0, [record(work, Result(None, "stale"), reference.NO_MODEL | {"config_sha": "0"})])
    make(files, tmp_path)
    assert all(row["status"] == "ok" for row in shards.stream(tmp_path / "edits.parquet", records.EDIT))


def test_each_reference_gives_what_its_name_says(files, tmp_path):
    make(files, tmp_path)
    rows = shards.read(tmp_path / "edits.parquet", records.EDIT)
    assert len(rows) == 15 and len({row["edit_id"] for row in rows}) == 15
    given = {(row["editor"], row["sample_id"]): images.decode(row["image"]["bytes"], "edit") for row in rows}
    for n in range(5):
        assert (given["copy", f"s{n}"] == picture(100 * n)).all()
        assert (given["truth", f"s{n}"] == picture(100 * n + 50)).all()
        assert (given["other_truth", f"s{n}"] == picture(100 * ((n + 1) % 5) + 50)).all()


def test_another_truth_is_of_another_group_and_has_a_target():
    rows = [sample_row(0, "a"), sample_row(1, "a"), sample_row(2, "b", target=False), sample_row(3, "c")]
    ring = {row["sample_id"]: samples.Sample(row, "made", n) for n, row in enumerate(rows)}
    assert {name: other.id for name, other in reference.others(ring).items()} == {
        "s0": "s3",
        "s1": "s3",
        "s2": "s3",
        "s3": "s0",
    }
    assert reference.others({"s0": ring["s0"], "s1": ring["s1"]}) == {"s0": None, "s1": None}


def test_what_cannot_be_made_is_a_failed_row_with_its_reason(tmp_path):
    path = write_samples(tmp_path / "s.parquet", [sample_row(0, sources=0, target=False)])
    make({"emu_edit": path}, tmp_path)
    rows = shards.read(tmp_path / "edits.parquet", records.EDIT)
    assert [(row["editor"], row["status"], row["reason"]) for row in rows] == [
        ("copy", "failed", "no source to copy"),
        ("truth", "failed", "the sample has no target"),
        ("other_truth", "failed", "no other sample with a target"),
    ]
    assert all(row["image"] is None and row["image_sha"] is None for row in rows)


def test_a_later_turn_edits_its_own_given_source(tmp_path):
    path = write_samples(tmp_path / "s.parquet", [sample_row(0, "a"), sample_row(1, "a", follows="s0")])
    make({"emu_edit": path}, tmp_path, job(("copy",)))
    edits = shards.read(tmp_path / "edits.parquet", records.EDIT)
    assert (images.decode(edits[1]["image"]["bytes"], "edit") == picture(100)).all()


def test_an_unreadable_source_names_file_row_and_field_and_keeps_what_is_done(tmp_path):
    rows = [sample_row(n) for n in range(4)]
    rows[3]["sources"][0]["bytes"] = b"\x89PNG nothing"
    path = write_samples(tmp_path / "s.parquet", rows)
    with pytest.raises(MadiError, match=r"s\.parquet row 3 column sources\[0\].*unreadable"):
        make({"emu_edit": path}, tmp_path)
    assert len(list((tmp_path / "edits.parts").rglob("*.parquet"))) == 1


def test_a_missing_file_is_named_with_the_option_that_gives_it(files, tmp_path):
    asks = [{"benchmark": "geneval", "editors": ["copy"], "pauses": [0], "seeds": [0]}]
    with pytest.raises(MadiError, match="geneval.*--benchmark geneval=FILE"):
        make(files, tmp_path, job(("copy",), asks))


def test_batches_hold_a_sample_together_and_no_work_twice():
    ring = {f"s{n}": samples.Sample(sample_row(n), "made", n) for n in range(3)}
    asks = job(
        ("copy", "truth"),
        [
            {"benchmark": "emu_edit", "editors": ["copy", "truth"], "pauses": [0, 8, 0], "seeds": [0, 0]},
            {"benchmark": "emu_edit", "editors": ["truth"], "pauses": [0], "seeds": [0, 1]},
        ],
    ).asks
    batches = plan(asks, job().editors, {"emu_edit": ring}, 4)
    keys = [work.key for batch in batches for work in batch]
    assert len(keys) == len(set(keys)) == 3 * 2 + 3 * 2 + 3
    assert keys[:4] == [("copy", "emu_edit", f"s{n}", p, 0) for n in (0, 1) for p in (0, 8)]
    assert all(len(batch) <= 4 and len({work.editor for work in batch}) == 1 for batch in batches)


class Brighter:
    """An editor that adds 10 to its source, and refuses the sample `s3`."""

    facts = reference.NO_MODEL | {"config_sha": "0" * 64}

    def edit(self, works):
        return [Result(w.sample.source() // 2 + 10) if w.sample.id != "s3" else Result(None, "no") for w in works]


def chained(tmp_path, monkeypatch, rows, pauses=(0, 8)):
    """The edits of one job in which later turns edit own edits."""
    asks = [{"benchmark": "emu_edit", "editors": ["omnigen"], "pauses": list(pauses), "seeds": [0]}]
    work = job(("base",), asks)
    editor = work.editors["base"].model_copy(update={"turns": "own"})
    work = work.model_copy(update={"editors": {"omnigen": editor}, "base": str(tmp_path)})
    monkeypatch.setattr(shard, "build", lambda *_: Brighter())
    make({"emu_edit": write_samples(tmp_path / "s.parquet", rows)}, tmp_path, work)
    return {(row["sample_id"], row["pause"]): row for row in shards.read(tmp_path / "edits.parquet", records.EDIT)}


def test_a_turn_edits_the_edit_of_the_turn_before_at_its_own_pause_count(tmp_path, monkeypatch):
    """Whatever the order of turns in the file; a turn after a failed one fails, and no other."""
    rows = [sample_row(2, "a", follows="s1"), sample_row(1, "a", follows="s0"), sample_row(0, "a")]
    rows += [sample_row(3, "b"), sample_row(4, "b", follows="s3"), sample_row(5, "c")]
    found = chained(tmp_path, monkeypatch, rows)
    assert len(found) == 12
    for pause in (0, 8):
        image = picture(0)
        for name in ("s0", "s1", "s2"):
            image = image // 2 + 10
            assert (images.decode(found[name, pause]["image"]["bytes"], name) == image).all()
        assert found["s3", pause]["reason"] == "no"
        assert found["s4", pause]["reason"] == "the turn before it has no edit"
        assert found["s5", pause]["status"] == "ok"


def test_chained_turns_go_on_after_an_interruption_to_the_same_bytes(tmp_path, monkeypatch):
    rows = [sample_row(n, "a", follows=f"s{n - 1}" if n else None) for n in range(3)]
    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    whole = chained(tmp_path / "whole", monkeypatch, rows)
    edit = Brighter.edit

    def faulty(self, works):
        if works[0].sample.id == "s2":
            raise KeyboardInterrupt
        return edit(self, works)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Brighter, "edit", faulty)
        chained(tmp_path / "cut", monkeypatch, rows)
    again = chained(tmp_path / "cut", monkeypatch, rows)
    shas = [{key: row["image_sha"] for key, row in found.items()} for found in (again, whole)]
    assert shas[0] == shas[1]


def test_a_turn_whose_turn_before_is_no_sample_fails_alone(tmp_path, monkeypatch):
    found = chained(
        tmp_path, monkeypatch, [sample_row(1, "a", follows="s0"), sample_row(2, "a", follows="s1"), sample_row(5)]
    )
    told = {name: row["reason"] for (name, pause), row in found.items() if pause == 0}
    assert told == {"s1": "the turn before it has no edit", "s2": "the turn before it has no edit", "s5": None}


def test_turns_in_a_ring_are_named(tmp_path, monkeypatch):
    ring = [sample_row(1, "a", follows="s2"), sample_row(2, "a", follows="s1")]
    with pytest.raises(MadiError, match=r"s\.parquet row 0 column follows: s1 follows s2, which follows it"):
        chained(tmp_path, monkeypatch, ring)


def test_an_ask_takes_the_same_samples_for_all_who_take_as_many():
    ring = {f"s{n}": samples.Sample(sample_row(n, f"g{n // 2}"), "made", n) for n in range(20)}
    backwards = dict(reversed(ring.items()))
    few, more = (taken(ring, count) for count in (6, 10))
    assert len(few) == 6 and set(few) < set(more) and list(few) == [name for name in ring if name in few]
    assert len({sample.row["group_id"] for sample in few.values()}) == 3  # group by group
    assert {s.row["group_id"] for s in taken(backwards, 6).values()} == {s.row["group_id"] for s in few.values()}
    assert taken(ring, None) is ring and len(taken(ring, 99)) == 20


def test_what_else_is_in_a_job_does_not_change_an_edits_config():
    alone, together = job(("copy",)), job(REFERENCES, batch=7)
    first, second, other = (
        edit_sha(one.editors[name], one.sampler, one.size_px)
        for one, name in ((alone, "copy"), (together, "copy"), (together, "truth"))
    )
    assert first == second != other


def test_references_without_a_vae_import_no_torch(files, tmp_path):
    code = (
        "import sys; from pathlib import Path; from madi.edit import shard, verbs; from madi.config import EditSlice;"
        f"job = EditSlice.model_validate_json({job().model_dump_json()!r});"
        f"shard.run(job, {{'emu_edit': Path({str(files['emu_edit'])!r})}}, {{}},"
        f" Path({str(tmp_path / 'e.parquet')!r}), Path({str(tmp_path / 'c.jpg')!r}));"
        "assert not {'torch', 'diffusers', 'transformers'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
