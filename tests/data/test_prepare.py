import json

import pytest

from madi import images, shards
from madi.config import DataSlice
from madi.data import prepare
from madi.data.readers import scenes
from madi.errors import MadiError
from madi.records import SAMPLE
from madi.samples import Sample
from madi.scenes.splits import split_of
from madi.scenes.world import Scene


def train(edits=10, t2i=4):
    source = {"reader": "scenes", "edits": edits, "t2i": t2i}
    return DataSlice(set="train", name="t", seed=0, size_px=64, source=source)


def bench(samples=8):
    source = {"reader": "scenes", "samples": samples}
    return DataSlice(set="emu_edit", name="t", seed=0, size_px=64, source=source)


def test_equal_slices_give_equal_bytes(tmp_path):
    files = [tmp_path / "a" / "samples.parquet", tmp_path / "b" / "samples.parquet"]
    for file in files:
        prepare.run(train(), file, {}, None, {})
    assert files[0].read_bytes() == files[1].read_bytes()


def test_splits_do_not_leak(tmp_path):
    prepare.run(bench(24), tmp_path / "bench.parquet", {}, None, {})
    prepare.run(
        train(80, 40), tmp_path / "train.parquet", {"emu_edit": tmp_path / "bench.parquet"}, tmp_path / "r.json", {}
    )
    told = shards.read_json(tmp_path / "r.json")
    assert told["samples"] == 120 and told["duplicates"] == told["leaks"] == [] and told["sources"] == {"scenes": 120}
    for name, split, count in (("bench", "bench", 24), ("train", "tune", 120)):
        specs = [json.loads(row["spec"]) for row in shards.read(tmp_path / f"{name}.parquet", SAMPLE)]
        scenes = [Scene.from_dict(scene) for spec in specs for scene in (*spec["sources"], spec["target"])]
        assert len(specs) == count and {split_of(scene) for scene in scenes} == {split}


def test_a_leak_is_left_out_and_reported(tmp_path, monkeypatch):
    prepare.run(bench(), tmp_path / "bench.parquet", {}, None, {})
    stolen = shards.read(tmp_path / "bench.parquet", SAMPLE)[3]["target"]

    real = scenes.read

    def leaking(job):
        for index, row in enumerate(real(job)):
            yield row | {"target": stolen} if index == 5 else row

    monkeypatch.setattr(scenes, "read", leaking)
    against, out = {"emu_edit": tmp_path / "bench.parquet"}, tmp_path / "train.parquet"
    prepare.run(train(30, 10), out, against, tmp_path / "report.json", {})
    [leak] = shards.read_json(tmp_path / "report.json")["leaks"]
    assert (leak["sample_id"], leak["role"], leak["benchmark"]) == ("tune-edit-0-00005", "target", "emu_edit")
    names = shards.frame(out, SAMPLE)["sample_id"]
    assert len(names) == 39 and "tune-edit-0-00005" not in set(names)
    with pytest.raises(MadiError, match="1 of 14 samples show a benchmark's picture"):
        prepare.run(train(), tmp_path / "none.parquet", against, None, {})
    assert not (tmp_path / "none.parquet").exists()


def rows(n=3):
    found = enumerate(scenes.read(train(n, 0)))
    origin = {"file": "hub.parquet", "revision": ""}
    return [Sample(row | {"origin": origin | {"row": index}}, "hub.parquet", index) for index, row in found]


def stays(found) -> tuple[list[str], prepare.Tally]:
    """Ids of the samples that are whole and new, and the tally."""
    tally, kept = prepare.Tally(), []
    for sample in found:
        _, _, pictures = prepare.looked_at(("hub", sample.row))
        if prepare.whole(sample, pictures, tally, True) and prepare.first(sample, tally):
            kept.append(sample.id)
    return kept, tally


def test_the_same_content_is_kept_once():
    again = rows()
    repeated = Sample(again[1].row | {"sample_id": "later"}, "hub.parquet", 3)
    kept, tally = stays([*again, repeated])
    assert kept == [sample.id for sample in again] and tally.duplicates == ["later"]
    asked_otherwise = Sample(repeated.row | {"instruction": "something else"}, "hub.parquet", 3)
    assert stays([*again, asked_otherwise])[1].duplicates == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instruction": "  "}, "hub.parquet row 1 column instruction: empty"),
        ({"target": {"bytes": b"GIF", "path": None}}, "hub.parquet row 1 column target: unreadable image"),
        ({"sources": [{"bytes": b"", "path": None}]}, r"hub.parquet row 1 column sources\[0\]: no image bytes"),
        ({"sample_id": "tune-edit-0-00000"}, "hub.parquet row 1 column sample_id: 'tune-edit-0-00000' comes twice"),
        ({"sources": [], "target": None, "spec": None}, "hub.parquet row 1: no image and no rule"),
    ],
)
def test_a_broken_row_is_named(change, said):
    broken = rows()
    broken[1] = Sample(broken[1].row | change, "hub.parquet", 1)
    with pytest.raises(MadiError, match=said):
        stays(broken)


def test_hashes_are_of_the_images():
    for sample in rows():
        encoded = [picture["bytes"] for picture in [*sample.row["sources"], sample.row["target"]]]
        assert sample.row["sha256"] == images.sha256(b"".join(encoded))
        assert sample.row["phash"] == images.phash(sample.source())


def test_two_processes_prepare_what_one_does(tmp_path):
    jobs = [train(30, 10).model_copy(update={"threads": count}) for count in (1, 2)]
    for job in jobs:
        prepare.run(job, tmp_path / f"{job.threads}.parquet", {}, tmp_path / f"{job.threads}.json", {})
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
    assert (tmp_path / "1.json").read_bytes() == (tmp_path / "2.json").read_bytes()
