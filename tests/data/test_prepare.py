import json
import re
import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import published as made
import pytest

from madi import images, shards
from madi.config import DataSlice
from madi.data import parts, prepare
from madi.data.readers import scenes
from madi.data.tally import Tally
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


def written(folder) -> dict[str, bytes]:
    """All files below a folder, by name."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_equal_slices_give_equal_bytes(tmp_path):
    for folder in ("a", "b"):
        prepare.run(train(), tmp_path / folder / "samples.json", {}, None, {})
    assert written(tmp_path / "a") == written(tmp_path / "b")


def test_splits_do_not_leak(tmp_path):
    prepare.run(bench(24), tmp_path / "bench.json", {}, None, {})
    prepare.run(train(80, 40), tmp_path / "train.json", {"emu_edit": tmp_path / "bench.json"}, tmp_path / "r.json", {})
    told = shards.read_json(tmp_path / "r.json")
    assert told["samples"] == 120 and told["duplicates"] == told["leaks"] == [] and told["sources"] == {"scenes": 120}
    for name, split, count in (("bench", "bench", 24), ("train", "tune", 120)):
        specs = [json.loads(row["spec"]) for row in shards.read(tmp_path / f"{name}.json", SAMPLE)]
        scenes = [Scene.from_dict(scene) for spec in specs for scene in (*spec["sources"], spec["target"])]
        assert len(specs) == count and {split_of(scene) for scene in scenes} == {split}


def test_a_leak_is_left_out_and_reported(tmp_path, monkeypatch):
    prepare.run(bench(), tmp_path / "bench.json", {}, None, {})
    stolen = shards.read(tmp_path / "bench.json", SAMPLE)[3]["target"]

    real = scenes.read

    def leaking(job):
        for index, row in enumerate(real(job)):
            yield row | {"target": stolen} if index == 5 else row

    monkeypatch.setattr(scenes, "read", leaking)
    against, out = {"emu_edit": tmp_path / "bench.json"}, tmp_path / "train.json"
    prepare.run(train(30, 10), out, against, tmp_path / "report.json", {})
    [leak] = shards.read_json(tmp_path / "report.json")["leaks"]
    assert (leak["sample_id"], leak["role"], leak["benchmark"]) == ("tune-edit-0-00005", "target", "emu_edit")
    names = shards.frame(out, SAMPLE)["sample_id"]
    assert len(names) == 39 and "tune-edit-0-00005" not in set(names)
    with pytest.raises(MadiError, match="1 of 14 samples show a benchmark's picture"):
        prepare.run(train(), tmp_path / "none.json", against, None, {})
    assert not (tmp_path / "none.json").exists()


def rows(n=3):
    found = enumerate(scenes.read(train(n, 0)))
    origin = {"file": "hub.parquet", "revision": ""}
    return [Sample(row | {"origin": origin | {"row": index}}, "hub.parquet", index) for index, row in found]


def stays(found, monkeypatch, strict=True) -> tuple[list[str], Tally]:
    """Ids of the samples that are whole and new, and the tally. strict: as scenes are, else as what was published."""
    name = "scenes" if strict else "hub"
    monkeypatch.setattr(prepare.stream, "rows", lambda job, folders: ((name, sample.row) for sample in found))
    tally = Tally()
    kept = prepare.kept(train(), prepare.leaks.Shown({}), tally, {}, prepare.Seen())
    return [row["sample_id"] for row in kept], tally


def test_the_same_content_is_kept_once(monkeypatch):
    again = rows()
    repeated = Sample(again[1].row | {"sample_id": "later"}, "hub.parquet", 3)
    kept, tally = stays([*again, repeated], monkeypatch)
    assert kept == [sample.id for sample in again] and tally.duplicates == ["later"]
    asked_otherwise = Sample(repeated.row | {"instruction": "something else"}, "hub.parquet", 3)
    assert stays([*again, asked_otherwise], monkeypatch)[1].duplicates == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instruction": "  "}, "hub.parquet row 1 column instruction: empty"),
        ({"target": {"bytes": b"GIF", "path": None}}, "hub.parquet row 1 column target: unreadable image"),
        ({"sources": [{"bytes": b"", "path": None}]}, r"hub.parquet row 1 column sources\[0\]: no image bytes"),
        (
            {"sample_id": "tune-edit-0-00000"},
            r"hub.parquet row 1 column sample_id \('tune-edit-0-00000'\): an id that came before",
        ),
        ({"sources": [], "target": None, "spec": None}, "hub.parquet row 1: no image and no rule"),
    ],
)
def test_a_broken_row_is_named_and_of_what_was_published_left_out(change, said, monkeypatch):
    broken = rows()
    broken[1] = Sample(broken[1].row | change, "hub.parquet", 1)
    with pytest.raises(MadiError, match=said):
        stays(broken, monkeypatch)
    kept, tally = stays(broken, monkeypatch, strict=False)
    assert kept == [broken[0].id, broken[2].id] and sum(tally.rejected.values()) == 1
    [[where]] = tally.examples.values()
    assert re.search(said, where)


def test_hashes_are_of_the_images():
    for sample in rows():
        encoded = [picture["bytes"] for picture in [*sample.row["sources"], sample.row["target"]]]
        assert sample.row["sha256"] == images.sha256(b"".join(encoded))
        assert sample.row["phash"] == images.phash(sample.source())


def test_two_processes_prepare_what_one_does(tmp_path):
    for threads in (1, 2):
        job = train(30, 10).model_copy(update={"threads": threads})
        prepare.run(job, tmp_path / f"{threads}/samples.json", {}, tmp_path / f"{threads}/report.json", {})
    assert written(tmp_path / "1") == written(tmp_path / "2")


def published(folder, **sources):
    return DataSlice(set="train", name="t", seed=0, size_px=32, source={"reader": "published", "sources": sources})


def test_a_source_that_gives_less_than_was_asked_for_is_told_and_one_that_gives_nothing_stops(tmp_path, capsys):
    made.ultraedit(tmp_path / "few")
    few = {"reader": "ultraedit", "files": "few", "take": 50}
    prepare.run(published(tmp_path, few=few), tmp_path / "s.json", {}, tmp_path / "r.json", {"few": tmp_path / "few"})
    assert "few has 4 of 50 samples asked for" in capsys.readouterr().err
    assert shards.read_json(tmp_path / "r.json")["asked_for"] == {"few": 50}
    (tmp_path / "none").mkdir()
    both = published(tmp_path, few=few, none={"reader": "pairs", "files": "none"})
    with pytest.raises(MadiError, match="none of train: gave no sample"):
        prepare.run(both, tmp_path / "t.json", {}, None, {"few": tmp_path / "few", "none": tmp_path / "none"})


def test_a_published_benchmark_keeps_every_row_and_what_is_learnt_from_each_content_once(tmp_path):
    """Its authors' script averages over all rows, also over one picture and instruction under two tasks."""
    made.emu_edit_of_few_pictures(tmp_path / "emu")
    source = {"reader": "emu_edit", "samples": 12, "files": "emu"}
    job = DataSlice(set="emu_edit", name="t", seed=0, size_px=32, source=source)
    prepare.run(job, tmp_path / "s.json", {}, tmp_path / "r.json", {"emu_edit": tmp_path / "emu"})
    assert shards.read_json(tmp_path / "r.json")["samples"] == 12 == len(shards.read(tmp_path / "s.json", SAMPLE))
    made.ultraedit(tmp_path / "twice/a", "FreeForm_1"), made.ultraedit(tmp_path / "twice/b", "FreeForm_2")
    twice = published(tmp_path, twice={"reader": "ultraedit", "files": "twice"})
    prepare.run(twice, tmp_path / "t.json", {}, tmp_path / "q.json", {"twice": tmp_path / "twice"})
    assert len(shards.read_json(tmp_path / "q.json")["duplicates"]) == 4


class Cut(Exception):
    pass


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("at", [0, 1, 17, 39])
def test_a_preparation_that_was_cut_off_goes_on(tmp_path, monkeypatch, at, threads):
    """At any row: whole shards stay as they are, and the end is that of a run that was not cut off."""
    monkeypatch.setattr(parts, "SHARD_BYTES", 20_000)
    job = train(30, 10).model_copy(update={"threads": threads})
    prepare.run(job, tmp_path / "whole/samples.json", {}, tmp_path / "whole/report.json", {})

    real, folder = shards.write, tmp_path / "cut"

    def cutting(path, rows, schema):
        def some():
            for row in rows:
                if row["sample_id"] == names[at]:
                    raise Cut
                yield row

        return real(path, some(), schema)

    names = list(shards.frame(tmp_path / "whole/samples.json", SAMPLE)["sample_id"])
    monkeypatch.setattr(parts.shards, "write", cutting)
    with pytest.raises(Cut):
        prepare.run(job, folder / "samples.json", {}, folder / "report.json", {})
    monkeypatch.setattr(parts.shards, "write", real)
    assert not (folder / "samples.json").exists()
    whole = {path: path.stat().st_mtime_ns for path in folder.rglob("*.parquet")}
    assert len(whole) == sum(1 for end in ends(tmp_path / "whole/samples.json") if end <= at)
    prepare.run(job, folder / "samples.json", {}, folder / "report.json", {})
    assert written(folder) == written(tmp_path / "whole")
    assert all(path.stat().st_mtime_ns == before for path, before in whole.items())


def ends(manifest) -> list[int]:
    """How many samples there are up to the end of each shard."""
    return list(accumulate(one["rows"] for one in shards.read_json(manifest)["shards"]))


@pytest.mark.parametrize("what", ["shard", "slice", "journal"])
def test_nothing_is_gone_on_with_that_is_not_as_it_was_left(tmp_path, monkeypatch, what):
    monkeypatch.setattr(parts, "SHARD_BYTES", 20_000)
    prepare.run(train(30, 10), tmp_path / "whole/samples.json", {}, None, {})
    made = parts.Parts(tmp_path / "cut/samples.json", "key")
    found = shards.read(tmp_path / "whole/samples.json", SAMPLE)

    def first():
        for row in found[:20]:
            made.tally.read += 1
            yield row
        raise Cut

    with pytest.raises(Cut):
        made.write(first())
    assert parts.Parts(tmp_path / "cut/samples.json", "key").shards == made.shards != []
    if what == "shard":
        path = tmp_path / "cut/samples/00000.parquet"
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    elif what == "journal":
        (tmp_path / "cut/samples/journal.json").write_text('{"key": "key", "shards": [{}]}')
    assert parts.Parts(tmp_path / "cut/samples.json", "other" if what == "slice" else "key").shards == []


def test_shards_of_an_earlier_larger_set_go(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "SHARD_BYTES", 20_000)
    prepare.run(train(60, 10), tmp_path / "samples.json", {}, None, {})
    many = set(tmp_path.rglob("*.parquet"))
    prepare.run(train(5, 0), tmp_path / "samples.json", {}, None, {})
    left = set(tmp_path.rglob("*.parquet"))
    assert left < many and len(left) == len(shards.read_json(tmp_path / "samples.json")["shards"])


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {tests!r})
import published as made
from madi import images
from madi.config import DataSlice
from madi.data import prepare
folder, rows = Path({folder!r}), int(sys.argv[1])
pictures = [made.encoded(n, "JPEG", side=32) for n in range(50)]
for shard in range(rows // 1000):
    names = {{"source_image": 0, "edited_image": 7}}
    columns = {{
        name: (made.IMAGE, [made.struct(pictures[(n + k) % 50] + b"%d %d" % (shard, n)) for n in range(1000)])
        for name, k in names.items()
    }}
    columns |= {{"idx": (made.pa.int64(), list(range(shard * 1000, shard * 1000 + 1000)))}}
    columns |= {{"edit_prompt": (made.pa.string(), [f"make {{shard}} {{n}}" for n in range(1000)])}}
    made.parquet(folder / f"set/data/FreeForm-{{shard:05}}-of-00999.parquet", columns, 100)
sources = {{"rows": {{"reader": "ultraedit", "files": str(folder / "set")}}}}
job = DataSlice(set="train", name="t", seed=0, size_px=32, source={{"reader": "published", "sources": sources}})
prepare.run(job, folder / "samples.json", {{}}, None, {{"rows": folder / "set"}})
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.mark.slow
def test_memory_grows_by_ids_and_hashes_alone(tmp_path):
    """From the growth between two sizes: 450 000 samples in less than 2 GB."""

    def megabytes(rows):
        folder = tmp_path / str(rows)
        script = MEMORY.format(tests=str(Path(__file__).parent), folder=str(folder))
        done = subprocess.run([sys.executable, "-c", script, str(rows)], capture_output=True, text=True, check=True)
        return float(done.stdout.split()[-1])

    small, large = megabytes(4000), megabytes(24_000)
    assert small + (large - small) / 20_000 * 450_000 < 2000
