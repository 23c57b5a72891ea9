import hashlib
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from madi import images, shards
from madi.errors import MadiError
from madi.records import IMAGE, SAMPLE, SCORE


def samples(n, side=24):
    for index in range(n):
        pixels = np.random.default_rng(index).integers(0, 256, (side, side, 3), dtype=np.uint8)
        picture = images.picture(pixels)
        yield {
            "sample_id": f"s{index:03}", "set": "train", "split": "tune", "group_id": f"g{index // 2}",
            "task": "add" if index % 2 else None, "turn": index % 3 or None, "sources": [picture] * (index % 3),
            "target": picture if index % 2 else None, "instruction": f"make it größer {index}",
            "phash": images.phash(pixels), "sha256": images.sha256(picture["bytes"]),
            "origin": {"file": "f", "row": index, "revision": "r"},
        }  # fmt: skip


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "samples.parquet"
    shards.write(path, samples(150), SAMPLE)
    return path


def message(call, *arguments, **options):
    with pytest.raises(MadiError) as fault:
        call(*arguments, **options)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def test_what_was_written_is_read(shard):
    read = shards.read(shard, SAMPLE)
    for row, wrote in zip(read, samples(150), strict=True):
        assert {name: value for name, value in row.items() if value is not None} == {
            name: value for name, value in wrote.items() if value is not None
        }
        assert list(row) == SAMPLE.names


def test_equal_rows_give_equal_bytes(tmp_path):
    paths = [tmp_path / "a.parquet", tmp_path / "deeper" / "b.parquet"]
    for path in paths:
        assert shards.write(path, samples(150), SAMPLE) == 150
    assert paths[0].read_bytes() == paths[1].read_bytes()
    # The writer's name is that of the locked pyarrow, not of a build, a host or a moment.
    import pyarrow

    assert pq.ParquetFile(paths[0]).metadata.created_by == f"parquet-cpp-arrow version {pyarrow.__version__}"
    shards.write(paths[1], list(samples(150))[::-1], SAMPLE)
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_row_groups_of_64(shard):
    metadata = pq.ParquetFile(shard).metadata
    assert [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)] == [64, 64, 22]


def test_columns_narrow(shard):
    rows = shards.read(shard, SAMPLE, ["turn", "sample_id"])
    assert len(rows) == 150 and set(rows[0]) == {"sample_id", "turn"}


def test_no_rows_is_a_legal_shard(tmp_path):
    path = tmp_path / "none.parquet"
    assert shards.write(path, [], SAMPLE) == 0
    assert shards.read(path, SAMPLE) == []
    assert list(shards.frame([path], SAMPLE)["sample_id"]) == []


def test_a_frame_spans_shards_with_plain_strings_and_no_images(tmp_path, shard):
    other = tmp_path / "other.parquet"
    shards.write(other, samples(3), SAMPLE)
    frame = shards.frame([shard, other], SAMPLE)
    assert len(frame) == 153
    assert not {field.name for field in SAMPLE if "struct<bytes" in str(field.type)} & set(frame.columns)
    assert frame.groupby("set").size().to_dict() == {"train": 153}
    assert frame["sample_id"].iloc[152] == "s002"
    assert "target" in shards.frame(shard, SAMPLE, ["target"]).columns


def test_a_stream_spans_shards_in_order(tmp_path, shard):
    other = tmp_path / "other.parquet"
    shards.write(other, samples(3), SAMPLE)
    names = [row["sample_id"] for row in shards.stream([other, shard], SAMPLE, ["sample_id"])]
    assert names[:4] == ["s000", "s001", "s002", "s000"] and len(names) == 153


def test_datasets_shows_the_images(tmp_path, shard):
    datasets = pytest.importorskip("datasets")
    found = datasets.Dataset.from_parquet(str(shard), cache_dir=str(tmp_path / "cache"))
    assert isinstance(found.features["target"], datasets.Image)
    assert isinstance(found.features["sources"].feature, datasets.Image)
    assert found[1]["target"].size == found[1]["sources"][0].size == (24, 24)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"instruction": None}, "row 70 column instruction: no value"),
        ({"turn": "two"}, "row 70 column turn: found str 'two'; expected int32"),
        ({"target": 7}, "row 70 column target: found int '7'"),
        ({"colour": "red"}, "row 70: unknown column 'colour'"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_left(tmp_path, change, said):
    path = tmp_path / "samples.parquet"
    rows = [row | (change if index == 70 else {}) for index, row in enumerate(samples(80))]
    assert f"{path} {said}" in message(shards.write, path, rows, SAMPLE)
    assert os.listdir(tmp_path) == []


def test_a_failed_write_leaves_the_old_file(shard):
    before = shard.read_bytes()

    def broken():
        yield from samples(100)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(shard, broken(), SAMPLE)
    assert shard.read_bytes() == before and os.listdir(shard.parent) == [shard.name]


def test_damage_is_named_never_read(tmp_path, shard):
    whole = shard.read_bytes()
    digest = hashlib.sha256(repr(shards.read(shard, SAMPLE)).encode()).hexdigest()
    rng = np.random.default_rng(0)
    cuts = [0, 3, len(whole) // 3, len(whole) - 1]
    harmless = 0
    for place in [*cuts, *rng.integers(4, len(whole) - 8, 25)]:
        harmed = whole[:place] if place in cuts else whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        path = tmp_path / "harmed.parquet"
        path.write_bytes(harmed)
        try:
            read = shards.read(path, SAMPLE)
        except MadiError as fault:
            assert str(path) in str(fault) and "\n" not in str(fault)
            continue
        # A flipped bit that no value depends on (padding, statistics) may pass; a changed value may not.
        assert hashlib.sha256(repr(read).encode()).hexdigest() == digest
        harmless += 1
    assert harmless <= 3


def test_another_record_or_no_file_is_named(tmp_path, shard):
    assert f"{shard}: column editor is missing" in message(shards.read, shard, SCORE)
    assert f"{tmp_path / 'no.parquet'}: no such file" in message(shards.read, tmp_path / "no.parquet", SAMPLE)
    assert "no such file" in message(shards.frame, [shard, tmp_path / "no.parquet"], SAMPLE)
    assert f"{tmp_path}: not a whole Parquet file" in message(shards.read, tmp_path, SAMPLE)


def test_a_column_of_another_type_is_named(tmp_path, shard):
    table = pq.read_table(shard)
    path = tmp_path / "cast.parquet"
    number = table.schema.get_field_index("instruction")
    pq.write_table(table.set_column(number, "instruction", table["target"].cast(IMAGE)), path)
    assert "column instruction is struct" in message(shards.read, path, SAMPLE)


def test_json_round_trip_is_sorted_and_atomic(tmp_path):
    path = tmp_path / "a.json"
    shards.write_json(path, {"b": [1, None], "a": "ü"})
    before = path.read_bytes()
    assert shards.read_json(path) == {"a": "ü", "b": [1, None]}
    assert before.index(b'"a"') < before.index(b'"b"')
    assert "cannot be written as JSON" in message(shards.write_json, path, {"a": float("nan")})
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["a.json"]


def test_broken_json_names_file_line_and_column(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": 1,\n "b" 2}')
    assert f"{path} line 2 column 6: not JSON" in message(shards.read_json, path)
    assert "no such file" in message(shards.read_json, tmp_path / "b.json")


def test_what_is_written_is_as_readable_as_any_other_file(tmp_path):
    (tmp_path / "plain").write_text("")
    plain = (tmp_path / "plain").stat().st_mode
    with shards.atomic(tmp_path / "kept") as partial:
        partial.touch(mode=0o600)
    assert (tmp_path / "kept").stat().st_mode == plain
    (tmp_path / "kept").chmod(0o600)
    shards.as_umask(tmp_path)
    assert (tmp_path / "kept").stat().st_mode == plain
