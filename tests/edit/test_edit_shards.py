"""Shards of an edit job: together all its edits, groups whole, each file by itself."""

import threading

import pytest
from test_edit_job import REFERENCES, job, sample_row, write_samples

from madi import jobs, lease, records, shards
from madi.edit import shard
from madi.edit.editors import reference
from madi.editors import Editor
from madi.errors import MadiError
from madi.options import shard_from

COUNT = 3
ASKS = [{"benchmark": "emu_edit", "editors": list(REFERENCES), "pauses": [0, 8], "seeds": [0, 1]}]


@pytest.fixture
def files(tmp_path):
    """Seven groups: four of one sample each, and three sessions of two turns."""
    alone = [sample_row(n) for n in range(4)]
    turns = [sample_row(n, f"session{n // 2}", follows=f"s{n - 1}" if n % 2 else None) for n in range(4, 10)]
    return {"emu_edit": write_samples(tmp_path / "samples.parquet", alone + turns)}


def make(files, folder, number=0, count=1, asks=ASKS):
    out = folder / f"{number:05}.parquet"
    shard.run(job(asks=asks), files, {}, out, out.with_suffix(".jpg"), (number, count))
    return shards.read(out, records.EDIT)


def test_shards_hold_together_what_one_holds_and_each_edit_once(files, tmp_path):
    whole = {row["edit_id"]: row for row in make(files, tmp_path / "one")}
    split = [row for number in range(COUNT) for row in make(files, tmp_path / "some", number, COUNT)]
    assert len(split) == len(whole) == 10 * 2 * 2 * len(REFERENCES)
    assert {row["edit_id"]: row for row in split} == whole


def test_a_group_is_in_one_shard_with_all_its_pauses_seeds_and_editors(files, tmp_path):
    group = {f"s{n}": f"session{n // 2}" if n > 3 else f"g{n}" for n in range(10)}
    held = [make(files, tmp_path, number, COUNT) for number in range(COUNT)]
    groups = [{group[row["sample_id"]] for row in rows} for rows in held]
    assert sum(map(len, groups)) == len(set().union(*groups)) == 7
    assert min(map(len, groups)) > 0  # of these names; a shard may be empty


def test_the_samples_that_an_ask_takes_are_the_same_in_shards(files, tmp_path):
    taking = [ASKS[0] | {"take": 4}]
    whole = {row["edit_id"] for row in make(files, tmp_path / "one", asks=taking)}
    split = [row["edit_id"] for number in range(COUNT) for row in make(files, tmp_path / "some", number, COUNT, taking)]
    assert sorted(split) == sorted(whole)


def test_an_empty_shard_is_a_file_like_any_other(files, tmp_path):
    held = [len(make(files, tmp_path, number, 40)) for number in range(40)]
    assert 0 in held and sum(held) == 10 * 2 * 2 * len(REFERENCES)
    paths = [tmp_path / f"{number:05}.parquet" for number in range(40)]
    assert len(shards.frame(paths, records.EDIT)) == sum(held)
    assert all(path.with_suffix(".jpg").stat().st_size for path in paths)


def test_a_killed_shard_loses_itself_alone(files, tmp_path, monkeypatch):
    first = make(files, tmp_path, 0, COUNT)
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(reference.Truth, "edit", lambda self, works: (_ for _ in ()).throw(KeyboardInterrupt))
        make(files, tmp_path, 1, COUNT)
    assert shards.read(tmp_path / "00000.parquet", records.EDIT) == first
    assert not (tmp_path / "00001.parquet").exists() and any((tmp_path / "00001.parts").rglob("*.parquet"))
    make(files, tmp_path, 2, COUNT)
    assert any((tmp_path / "00001.parts").rglob("*.parquet"))  # another shard's end takes nothing of it
    assert make(files, tmp_path, 1, COUNT) == make(files, tmp_path / "anew", 1, COUNT)


def test_a_second_job_at_the_same_shard_waits_and_makes_nothing_anew(files, tmp_path, monkeypatch, capsys):
    """As one is whose Snakemake was killed and started again while its job lived on."""
    begun, go, edited = threading.Event(), threading.Event(), []
    edit = reference.Truth.edit

    def slow(self, works):
        begun.set()
        go.wait(20)
        edited.extend(works)
        return edit(self, works)

    monkeypatch.setattr(reference.Truth, "edit", slow)
    monkeypatch.setattr(lease, "LOOK", 0.02)
    first = threading.Thread(target=make, args=(files, tmp_path))
    first.start()
    assert begun.wait(20)
    second = threading.Thread(target=make, args=(files, tmp_path))
    second.start()
    while "is making these edits; waiting" not in capsys.readouterr().err:
        assert second.is_alive()
    go.set()
    first.join(20), second.join(20)
    assert len(edited) == len({work.key for work in edited}) == 10 * 2 * 2
    rows = shards.read(tmp_path / "00000.parquet", records.EDIT)
    assert rows == make(files, tmp_path / "alone") and not (tmp_path / "00000.parts").exists()


def test_parts_of_another_split_are_not_taken_up(files):
    assert len({shard.fingerprint(job(), files, {}, split) for split in ((0, 1), (0, 2), (1, 2))}) == 3


def test_a_shard_is_one_of_its_count():
    assert shard_from("3/16", "--shard") == (3, 16) and shard_from("00003/16", "--shard") == (3, 16)
    for slip in ("16/16", "3", "-1/4", "a/4", "1/0", "", "1/2/3", "0/"):
        with pytest.raises(MadiError, match="--shard: found .*NUMBER/COUNT, counted from 0"):
            shard_from(slip, "--shard")


def test_which_shard_holds_a_group_is_a_matter_of_its_name_alone():
    assert [jobs.shard_of(f"g{n}", 4) for n in range(6)] == [2, 0, 2, 2, 3, 3]
    counts = [sum(jobs.shard_of(f"g{n}", 4) == number for n in range(4000)) for number in range(4)]
    assert min(counts) > 900


def test_a_folder_stands_for_the_shards_of_all_jobs_that_there_are_now(tmp_path):
    editors = {name: Editor(kind="copy", job=of) for name, of in (("a", None), ("b", "pair"), ("c", "pair"))}
    (tmp_path / "gone").mkdir()
    names = [str(path.relative_to(tmp_path)) for path in jobs.named([tmp_path], editors, {"pair": 2})]
    assert names == ["a/00000.parquet", "pair/00000.parquet", "pair/00001.parquet"]
    assert jobs.named([tmp_path / "x.parquet"], editors, {"pair": 2}) == [tmp_path / "x.parquet"]


def test_a_job_may_be_split_otherwise_than_the_rest():
    editors = {name: Editor(kind="copy", job=of) for name, of in (("a", None), ("b", "pair"), ("c", "pair"))}
    assert jobs.shards(editors, 3, {"pair": 5}) == {"a": 3, "pair": 5}
