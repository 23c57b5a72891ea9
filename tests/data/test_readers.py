"""Readers on published forms: what each row becomes, what is rejected and why, what is told of a broken file."""

import io
import json
import tarfile

import published as made
import pyarrow as pa
import pytest

from madi import images, shards
from madi.data.readers import aurora, complex_edit, emu_edit, geneval, idea_bench, magicbrush, pairs, ultraedit
from madi.data.readers.published import Rejected, missing
from madi.errors import MadiError
from madi.records import SAMPLE


def split(found):
    """Samples by id, and rejections as (row, reason)."""
    found = list(found)
    samples = {row["sample_id"]: row for row in found if isinstance(row, dict)}
    return samples, [(one.row, one.reason) for one in found if isinstance(one, Rejected)]


def decoded(picture):
    return images.decode(picture["bytes"], "here")


def test_every_reader_gives_whole_records(tmp_path):
    """What a reader gives is written as a Sample record, with what `prepare` adds."""
    made.ultraedit(tmp_path / "u", "RegionBase"), made.magicbrush(tmp_path / "m"), made.aurora(tmp_path / "a")
    made.emu_edit(tmp_path / "e"), made.complex_edit(tmp_path / "c"), made.idea_bench(tmp_path / "i")
    made.geneval(tmp_path / "g"), made.magicbrush_zip(tmp_path / "val.zip")
    found = [ultraedit.read(tmp_path / "u"), ultraedit.captions(tmp_path / "u"), magicbrush.read(tmp_path / "m")]
    found += [magicbrush.zipped(tmp_path / "val.zip"), aurora.read(tmp_path / "a"), emu_edit.read(tmp_path / "e")]
    found += [complex_edit.read(tmp_path / "c"), idea_bench.read(tmp_path / "i"), geneval.read(tmp_path / "g")]
    for number, rows in enumerate(found):
        samples, _ = split(rows)
        whole = [row | {"set": "x", "split": "x", "phash": ""} for row in samples.values()]
        assert shards.write(tmp_path / f"{number}.parquet", whole, SAMPLE) == len(samples) > 0


@pytest.mark.parametrize("kind", ["FreeForm", "FreeForm_7", "RegionBase"])
def test_ultraedit_of_each_repository(tmp_path, kind):
    """Without a mask column, with one of nulls, with masks (one of them missing)."""
    masks = [made.mask(), None, made.mask(), b"NONE"]
    made.ultraedit(tmp_path, kind, masks=masks, prompts=["  What if\n it rained?", "b", "", "d"])
    samples, bad = split(ultraedit.read(tmp_path))
    assert bad == [(2, "no instruction")] and list(samples) == [f"ultraedit-{kind}-{n}" for n in (0, 1, 3)]
    first = samples[f"ultraedit-{kind}-0"]
    assert first["instruction"] == "What if it rained?" and first["target_caption"] == "a field with a red disc 0"
    assert decoded(first["sources"][0]).shape == (48, 48, 3) and first["origin"]["row"] == 0
    regions = [row["region"] is not None for row in samples.values()]
    assert regions == ([True, False, False] if kind == "RegionBase" else [False] * 3) or kind == "RegionBase"
    assert (first["region"] is not None) == (kind == "RegionBase")


def test_ids_of_one_number_in_two_splits_differ(tmp_path):
    made.ultraedit(tmp_path, "FreeForm_1"), made.ultraedit(tmp_path, "FreeForm_2")
    assert len(split(ultraedit.read(tmp_path))[0]) == 8


def test_pictures_of_any_mode_and_ending_are_read(tmp_path):
    forms = [("PNG", "RGBA"), ("PNG", "I;16"), ("WEBP", "RGB"), ("PNG", "P")]  # all called .jpg
    made.ultraedit(tmp_path, forms=forms)
    for row in split(ultraedit.read(tmp_path))[0].values():
        assert decoded(row["sources"][0]).shape == (48, 48, 3) and 5 < decoded(row["sources"][0]).std() < 90


def test_ultraedit_captions_are_pairs(tmp_path):
    path = made.ultraedit(tmp_path)
    columns = {"source_caption": (pa.string(), ["", "b", "c", None])}
    table = made.pq.read_table(path).drop(["source_caption"])
    table = table.append_column("source_caption", pa.array(columns["source_caption"][1]))
    made.pq.write_table(table, path)
    samples, bad = split(ultraedit.captions(tmp_path))
    assert len(samples) == 6 and bad == [(0, "no caption"), (3, "no caption")]
    row = samples["ultraedit-FreeForm-1-target"]
    assert not row["sources"] and row["instruction"] == row["target_caption"] == "a field with a red disc 1"


def test_missing_shards_are_counted(tmp_path):
    paths = [made.ultraedit(tmp_path, shard=shard, of=4, count=1) for shard in (0, 3)]
    assert missing(paths) == [1, 2] and missing(paths[:1]) == [1, 2, 3] and missing([tmp_path / "x.parquet"]) == []


@pytest.mark.parametrize("old", [False, True])
def test_magicbrush_turns_follow_one_another_whatever_their_order(tmp_path, old):
    made.magicbrush(tmp_path, ((1, 3), (2, 1)), old)
    samples, bad = split(magicbrush.read(tmp_path))
    assert not bad and sorted(samples) == [
        "magicbrush-101-1",
        "magicbrush-101-2",
        "magicbrush-101-3",
        "magicbrush-102-1",
    ]
    turns = [samples[f"magicbrush-101-{turn}"] for turn in (1, 2, 3)]
    assert [row["follows"] for row in turns] == [None, "magicbrush-101-1", "magicbrush-101-2"]
    assert [row["turn"] for row in turns] == [1, 2, 3] and {row["group_id"] for row in turns} == {"magicbrush-101"}
    assert turns[1]["sources"][0]["bytes"] == turns[0]["target"]["bytes"]
    assert all((row["region"] is None) == old for row in turns)
    if not old:  # a bright source with a hole: brightness alone would call most of it the region
        shares = [(images.region(row["region"]["bytes"], "here") == 255).mean() for row in turns]
        assert shares == pytest.approx([1 / 16] * 3)


@pytest.mark.parametrize("local", ["local_descriptions.json", "local_captions.json"])
def test_magicbrush_zips_have_captions_and_unpack_nothing(tmp_path, local):
    (tmp_path / "in").mkdir()
    samples, bad = split(magicbrush.zipped(made.magicbrush_zip(tmp_path / "in" / "val.zip", local)))
    assert bad == [(2, "no target")] and list(samples) == ["magicbrush-7-1", "magicbrush-7-2"]
    second = samples["magicbrush-7-2"]
    captions = second["source_caption"], second["target_caption"], second["target_caption_local"]
    assert captions == ("a disc", "a red disc", "red disc") and second["follows"] == "magicbrush-7-1"
    assert not (tmp_path / "escape.txt").exists() and len(list(tmp_path.rglob("*"))) == 2


@pytest.mark.parametrize("form", ["zip", "folder"])
def test_magicbrushs_hub_rows_get_their_captions_from_the_zip_beside_them(tmp_path, form):
    """The hub has no captions; the zip's are by session and picture, those of a turn's source under the turn before."""
    made.magicbrush(tmp_path / "hub", ((1, 2), (2, 1)))
    whole = {"101": {"101-input.png": "a field", "101-output1.png": "a disc", "101-output2.png": "a red disc"}}
    local = {"101": {"101-output1.png": "disc", "101-output2.png": "red disc"}}
    captions = {"global_descriptions.json": whole, "local_descriptions.json": local}
    if form == "zip":
        with made.Locked(tmp_path / "val.zip", b"MagicBrush") as file:
            for name, told in captions.items():
                file.writestr(f"val/{name}", json.dumps(told))
    else:
        (tmp_path / "val.zip/val").mkdir(parents=True)
        for name, told in captions.items():
            (tmp_path / "val.zip/val" / name).write_text(json.dumps(told))
    samples, bad = split(magicbrush.read(tmp_path / "hub", tmp_path / "val.zip"))
    names = ("source_caption", "target_caption", "target_caption_local")
    told = {key: tuple(row[name] for name in names) for key, row in samples.items()}
    assert told == {
        "magicbrush-101-1": ("a field", "a disc", "disc"),
        "magicbrush-101-2": ("a disc", "a red disc", "red disc"),
        "magicbrush-102-1": (None, None, None),
    }
    assert not bad and all(
        row["target_caption"] is None for row in split(magicbrush.read(tmp_path / "hub"))[0].values()
    )


def test_captions_that_are_not_there_or_of_another_split_are_one_line(tmp_path):
    made.magicbrush(tmp_path / "hub")
    with pytest.raises(MadiError, match="val.zip: no such file; expected MagicBrush's captions .*; .*captions: null"):
        split(magicbrush.read(tmp_path / "hub", tmp_path / "val.zip"))
    made.magicbrush_zip(tmp_path / "val.zip")
    with pytest.raises(MadiError, match="val.zip: captions of no session of this set; expected .* such as 101"):
        split(magicbrush.read(tmp_path / "hub", tmp_path / "val.zip"))


def test_magicbrush_zips_need_their_password(tmp_path):
    with pytest.raises(MadiError, match="val.zip: cannot be read .*password.*; expected MagicBrush's zip"):
        split(magicbrush.zipped(made.magicbrush_zip(tmp_path / "val.zip", password=b"another")))
    import zipfile

    with zipfile.ZipFile(made.magicbrush_zip(tmp_path / "val.zip")) as file, pytest.raises(RuntimeError):
        file.read("val/edit_turns.json")  # the fixture is locked indeed


def test_aurora_takes_the_parts_that_the_paper_names(tmp_path):
    made.aurora(tmp_path)
    samples, bad = split(aurora.read(tmp_path))
    assert [row["task"] for row in samples.values()] == ["kubric"] and bad == [(3, "no instruction")]
    assert len(split(aurora.read(tmp_path, ("kubric", "ag", "magicbrush")))[0]) == 3


def test_aurora_lists_give_their_first_instruction_and_find_their_frames(tmp_path):
    samples, bad = split(aurora.read(made.aurora_lists(tmp_path)))
    told = {name: row["instruction"] for name, row in samples.items()}
    assert told == {
        "aurora-kubric-0": "move it left",
        "aurora-something-0": "Pushing a cup left",
        "aurora-something-2": "Lifting a cup",
    }
    assert bad == [(1, "no target"), (1, "an instruction that the last frame does not show")]


@pytest.mark.parametrize(
    ("instruction", "dropped"),
    [
        ("Rolling a ball", True),
        ("It falls off the table", True),
        ("It falls off but is caught", False),
        ("Lift it", False),
    ],
)
def test_auroras_own_filter(instruction, dropped):
    assert aurora.unseen(instruction) is dropped


def test_emu_edit_says_which_captions_are_clean(tmp_path):
    made.emu_edit(tmp_path)
    made.emu_edit(tmp_path, "validation")
    samples, bad = split(emu_edit.read(tmp_path))
    assert not bad and len(samples) == 8 and len({row["task"] for row in samples.values()}) == 8
    told = {row["task"]: json.loads(row["spec"])["captions"] for row in samples.values()}
    assert told == {task: "a placeholder" for task in ("add", "background", "color", "global", "local")} | {
        "remove": "clean",
        "style": "the same",
        "text": "empty",
    }


def test_a_caption_of_one_picture_is_no_placeholder_however_often_it_is_edited(tmp_path):
    """Emu Edit asks several edits of a picture, each row with a hash of its own and the picture's one caption."""
    made.emu_edit_of_few_pictures(tmp_path)
    samples, _ = split(emu_edit.read(tmp_path))
    assert {json.loads(row["spec"])["captions"] for row in samples.values()} == {"clean"} and len(samples) == 12


def test_complex_edit_at_each_level_with_its_operations(tmp_path):
    made.complex_edit(tmp_path)
    samples, bad = split(complex_edit.read(tmp_path, 4))
    assert bad == [(1, "fewer than 4 compounds")] and [row["complexity"] for row in samples.values()] == [1, 2, 3, 4]
    third = samples["complex_edit-0000-3"]
    assert third["instruction"] == "do 3 things" and json.loads(third["spec"])["operations"] == ["op0", "op1", "op2"]
    assert len({row["group_id"] for row in samples.values()}) == 1


def test_complex_edits_rows_are_numbered_over_all_files_of_the_split(tmp_path):
    for shard in range(2):
        made.complex_edit(tmp_path, 1, seed=shard).rename(tmp_path / f"data/test_real-{shard:05}-of-00002.parquet")
    samples, _ = split(complex_edit.read(tmp_path, 2))
    told = [json.loads(row["spec"]) for row in samples.values()]
    assert [one["index"] for one in told] == [0, 0, 1, 1] and {one["split"] for one in told} == {"test_real"}


def test_complex_edit_from_its_picture_folder(tmp_path):
    (tmp_path / "test/real").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(made.encoded(1))
    (tmp_path / "test/real/0000.png").write_bytes(made.encoded(0))
    edit = {"sequence": [{"name": "op"}], "compound": [{"compound_instruction": "do it"}]}
    lines = [{"file_name": name, "edit": edit} for name in ("0000.png", "../../../outside.png")]
    (tmp_path / "test/real/metadata.jsonl").write_text("\n".join(map(json.dumps, lines)))
    samples, bad = split(complex_edit.read(tmp_path / "test", 1))
    assert list(samples) == ["complex_edit-0000-1"] and bad == [(1, "no source")]


def test_idea_bench_takes_one_kind_and_leaves_out_what_the_paper_does(tmp_path):
    made.idea_bench(tmp_path)
    samples, bad = split(idea_bench.read(tmp_path))
    assert list(samples) == ["idea_bench-photo_restoration_0001"] and bad == [(3, "no source")]
    spec = json.loads(samples["idea_bench-photo_restoration_0001"]["spec"])
    assert len(spec["items"]) == len(spec["prompts"]) == 6
    assert list(split(idea_bench.read(tmp_path, "T2I"))[0]) == ["idea_bench-poster_0001"]
    (tmp_path / "task_split.json").write_text(json.dumps({"I2I": ["0024"], "T2I": []}))
    assert list(split(idea_bench.read(tmp_path))[0]) == ["idea_bench-photo_restoration_0001", "idea_bench-poster_0001"]


def test_geneval_prompts_carry_their_rules(tmp_path):
    made.geneval(tmp_path)
    samples, _ = split(geneval.read(tmp_path))
    rule = json.loads(samples["geneval-00001"]["spec"])["geneval"]
    assert samples["geneval-00001"]["task"] == "position" and rule["include"][1]["position"] == ["left of", 0]


def test_pairs_from_parquet_tars_and_folders(tmp_path):
    image = made.IMAGE
    columns = {
        "jpg": (image, [made.struct(made.encoded(n)) for n in range(2)]),
        "caption": (pa.string(), ["one", None]),
    }
    made.parquet(tmp_path / "a.parquet", columns)
    with tarfile.open(tmp_path / "b.tar", "w") as file:
        for name, data in (
            ("0/x.jpg", made.encoded(3, "JPEG")),
            ("0/x.txt", b"two"),
            ("0/y.png", made.encoded(4)),
            ("0/y.json", b'{"caption": "three"}'),
            ("../../z.png", made.encoded(5)),
        ):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))
    (tmp_path / "c.png").write_bytes(made.encoded(6)), (tmp_path / "c.txt").write_text("four\n")
    (tmp_path / "d.png").write_bytes(made.encoded(7))
    samples, bad = split(pairs.read(tmp_path))
    assert sorted(row["instruction"] for row in samples.values()) == ["four", "one", "three", "two"]
    assert sorted(reason for _, reason in bad) == ["no caption"] * 3
    assert not list(tmp_path.parent.glob("z.png"))


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


BROKEN = {
    "cut": (
        lambda p: cut(made.ultraedit(p)),
        lambda p: ultraedit.read(p),
        "FreeForm-00000-of-00001.parquet: not a whole Parquet",
    ),
    "column": (
        lambda p: made.parquet(p / "x.parquet", {"idx": (pa.int64(), [1])}),
        lambda p: ultraedit.read(p),
        "x.parquet: no column edit_prompt; expected the instruction, beside idx",
    ),
    "nothing": (lambda p: None, lambda p: magicbrush.read(p), "no file like .*parquet; expected the data set's files"),
    "zip": (
        lambda p: (p / "v.zip").write_bytes(b"x"),
        lambda p: magicbrush.zipped(p / "v.zip"),
        "v.zip: cannot be read",
    ),
    "list": (
        lambda p: [made.aurora_lists(p), (p / "data/kubric/train.json").write_text("{")],
        lambda p: aurora.read(p),
        "data/kubric/train.json: not JSON",
    ),
    "rule": (
        lambda p: made.geneval(p).write_text('{"tag": "counting"}\n'),
        lambda p: geneval.read(p),
        "evaluation_metadata.jsonl line 1: tag 'counting'; expected one of",
    ),
    "pairs": (
        lambda p: made.parquet(p / "x.parquet", {"a": (pa.int64(), [1])}),
        lambda p: pairs.read(p),
        "x.parquet: no column image or jpg",
    ),
    "tar": (lambda p: (p / "x.tar").write_bytes(b"x" * 600), lambda p: pairs.read(p), "x.tar: not a whole tar"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_file_is_named(tmp_path, kind):
    build, read, said = BROKEN[kind]
    build(tmp_path)
    with pytest.raises(MadiError, match=said):
        list(read(tmp_path))


def test_complex_edits_splits_are_not_mixed(tmp_path):
    made.complex_edit(tmp_path), made.complex_edit(tmp_path, split="test_syn", seed=50)
    real, syn = (split(complex_edit.read(tmp_path, split=name))[0] for name in ("test_real", "test_syn"))
    assert set(real) == set(syn) and all(real[key]["sha256"] != syn[key]["sha256"] for key in real)
    with pytest.raises(MadiError, match="no split 'test'; expected test_real or test_syn"):
        split(complex_edit.read(tmp_path, split="test"))


def test_complex_edits_rows_count_on_over_files_and_broken_ones_are_left_out(tmp_path):
    made.complex_edit(tmp_path)
    first = tmp_path / "data/test_real-00000-of-00001.parquet"
    first.rename(tmp_path / "data/test_real-00000-of-00002.parquet")
    made.complex_edit(tmp_path, seed=70)
    first.rename(tmp_path / "data/test_real-00001-of-00002.parquet")
    samples, bad = split(complex_edit.read(tmp_path, 3))
    assert sorted({key[:17] for key in samples}) == [f"complex_edit-000{n}" for n in range(4)] and not bad
    for edit in ("not json", "[1]", {"compound": ["a"] * 8}, None, 3):
        assert [one.reason for one in complex_edit.levels_of(tmp_path, 0, 0, {"bytes": b"x"}, edit, 2)] == [
            "fewer than 2 compounds"
        ]


@pytest.mark.parametrize("items", ["[]", '["a"]', "{}", '[{"level": 1}]', "3", "{", '{"questions": [1]}'])
def test_a_case_with_items_of_another_form_is_left_out_and_costs_no_other(tmp_path, items):
    made.idea_bench(tmp_path)
    (tmp_path / "dataset/photo_restoration_0001/eval.json").write_text(items)
    (tmp_path / "dataset/poster_0001/auto_eval.jsonl").write_text(items)
    samples, bad = split(idea_bench.read(tmp_path))
    assert not samples and [row for row, _ in bad] == [2, 3] and "eval.json" in bad[0][1]
    assert [reason.split()[0] for _, reason in split(idea_bench.read(tmp_path, "T2I"))[1]] == ["auto_eval.jsonl"]


@pytest.mark.parametrize("form", ["object", "list"])
def test_both_forms_of_eval_json_give_six_items_in_levels_with_their_standards(tmp_path, form):
    made.idea_bench(tmp_path)
    if form == "list":
        for path in tmp_path.rglob("eval.json"):
            path.write_text(json.dumps(json.loads(path.read_text())["questions"]))
    [row] = split(idea_bench.read(tmp_path))[0].values()
    items = json.loads(row["spec"])["items"]
    assert [(item["level"], item["question"]) for item in items] == [(1 + n // 2, f"q{n}") for n in range(6)]
    assert [item["standards"] for item in items] == [[f"no {n}", f"yes {n}"] for n in range(6)]


@pytest.mark.parametrize(
    "told",
    [
        {"I2I": ["0024"], "T2I": ["0063"]},
        {"0024": "I2I", "0063": "T2I"},
        {"image-to-image": ["0024"], "Text to Image": ["0063"]},
    ],
)
def test_the_list_of_kinds_is_read_in_either_direction_and_by_either_name(tmp_path, told):
    made.idea_bench(tmp_path)
    (tmp_path / "task_split.json").write_text(json.dumps(told))
    samples, _ = split(idea_bench.read(tmp_path))
    assert list(samples) == ["idea_bench-poster_0001"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("I(s)2Is", "Is2Is"), ("(Multi-)image to Multi-image", "Is2Is"), ("images-to-image", "Is2I"), ("T2Is", "T2Is"),
     ("image(s)-to-images", "Is2Is"), ("I2Is", "Is2Is"), ("Multi-image to Image", "Is2I"), ("portraits", None)],
)  # fmt: skip
def test_kinds_of_task_have_names_of_several_forms(name, kind):
    assert idea_bench.kind_named(name) == kind


def test_the_automatic_evaluation_is_of_all_kinds_and_leaves_out_nothing(tmp_path):
    made.idea_bench(tmp_path)
    samples, bad = split(idea_bench.read(tmp_path, "auto"))
    told = {row["task"]: json.loads(row["spec"]) for row in samples.values()}
    categories = {task: (spec["uid"], spec["category"]) for task, spec in told.items()}
    expected = {"photo restoration": ("0063", "I2I"), "couple icon design": ("0072", "I2I"), "poster": ("0024", "T2I")}
    assert categories == expected and bad == [(3, "no source")]
    assert told["photo restoration"]["prompts"][0] == {
        "question": "of photo_restoration", "input_images": ["0001"], "output_images": ["0001"],
    }  # fmt: skip
    assert [told[task]["pictures"] for task in ("poster", "photo restoration")] == [[], ["0001"]]
    with pytest.raises(MadiError, match="no split 'some'; expected T2I, I2I"):
        split(idea_bench.read(tmp_path, "some"))
