"""Editors that are not ours: pipelines of diffusers, folders, published edits, an endpoint. None may shift an edit."""

import base64
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import tiny_pipelines

sys.path.append(str(Path(__file__).parents[1] / "data"))
import published as made  # noqa: E402

from madi import images, records, samples, shards  # noqa: E402
from madi.cli import main  # noqa: E402
from madi.config import EditSlice  # noqa: E402
from madi.edit import export, shard  # noqa: E402
from madi.edit.editors import endpoint as endpoint_module  # noqa: E402
from madi.edit.editors.endpoint import Endpoint  # noqa: E402
from madi.edit.editors.folder import Folder, Published  # noqa: E402
from madi.edit.layouts import place  # noqa: E402
from madi.edit.ledger import Ledger  # noqa: E402
from madi.edit.work import Work  # noqa: E402
from madi.editors import EndpointEditor, FolderEditor, PipelineEditor, PublishedEditor, Spending  # noqa: E402
from madi.errors import MadiError, Paused  # noqa: E402

SHA = "0" * 64


def row(number, **more):
    picture = images.picture(np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8))
    base = {"sample_id": f"s{number}", "set": "b", "split": "t", "group_id": f"g{number}", "sources": [picture]}
    base |= {"instruction": f"make it {number}", "phash": "", "sha256": f"{number}"}
    return base | {"origin": {"file": "f", "row": number, "revision": ""}} | more


def work(sample, pause=0, seed=0, benchmark="emu_edit"):
    return Work("e", benchmark, sample, pause, seed)


def sample(number=0, **more):
    columns = {name: None for name in records.SAMPLE.names} | row(number, **more)
    return samples.Sample(columns, "made", number)


# --- pipelines


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return tiny_pipelines.instruct_pix2pix(tmp_path_factory.mktemp("ip2p") / "w")


def settings(folder, **more):
    call = {"num_inference_steps": 2, "guidance_scale": 7.5, "image_guidance_scale": 1.5}
    fixed = {
        "weights": str(folder),
        "pipeline": "StableDiffusionInstructPix2PixPipeline",
        "size_px": 64,
        "multiple": 32,
    }
    return PipelineEditor(**fixed | {"call": call} | more)


@pytest.fixture(scope="module")
def pipeline(weights):
    from madi.edit.editors.pipeline import Pipeline

    return Pipeline(settings(weights), SHA)


def test_a_pipelines_edit_keeps_its_own_size_and_says_how_it_was_made(pipeline):
    [result] = pipeline.edit([work(sample(1))])
    assert result.image.shape == (64, 96, 3) and result.prompt == "make it 1"  # 60x40 is shown at 96x64
    facts = pipeline.facts
    assert (facts["sampler_steps"], facts["guidance_text"], facts["guidance_image"]) == (2, 7.5, 1.5)
    assert len(facts["weights_sha"]) == 64


# By InstructPix2Pix's edit_cli.py at resolution 512.
@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ((640, 427), (512, 384)),
        ((500, 333), (576, 384)),
        ((427, 640), (384, 512)),
        ((1024, 1024), (512, 512)),
        ((512, 512), (512, 512)),
        ((640, 480), (512, 384)),
        ((2000, 100), (1280, 64)),
    ],
)
def test_a_source_is_shown_at_instruct_pix2pixs_size(source, shown):
    from madi.edit.editors.pipeline import shown_size

    assert shown_size(*source, 512, 64) == shown


def test_an_edit_depends_on_its_sample_and_seed_alone(pipeline):
    together = pipeline.edit([work(sample(1)), work(sample(2)), work(sample(1), seed=1)])
    [alone] = pipeline.edit([work(sample(2))])
    assert (alone.image == together[1].image).all()
    assert (together[0].image != together[2].image).any() and (together[0].image != together[1].image).any()


def test_what_a_pipeline_cannot_do_is_a_failed_edit(pipeline):
    pauses, words_alone = pipeline.edit([work(sample(1), pause=8), work(sample(2, sources=[]))])
    assert (pauses.image, pauses.reason) == (None, "this editor has no pauses")
    assert words_alone.reason == "this editor makes no picture from words alone"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pipeline": "NoSuchPipeline"}, "no pipeline NoSuchPipeline"),
        ({"call": {"num_steps": 3}}, "takes no num_steps"),
        ({"mask": "mask_img"}, "takes no mask_img"),
        ({"weights": "nowhere"}, "no weights of StableDiffusionInstructPix2PixPipeline"),
    ],
)
def test_a_slip_in_a_pipelines_settings_is_one_line(weights, change, said):
    from madi.edit.editors.pipeline import Pipeline

    with pytest.raises(MadiError, match=said) as fault:
        Pipeline(settings(weights, **change), SHA)
    assert "\n" not in str(fault.value)


def test_a_pipeline_is_shown_the_region_as_white_however_it_was_published(pipeline):
    region = {"bytes": made.holed(), "path": None}
    shown = np.asarray(pipeline.region(sample(1, region=region), (48, 48)))
    assert set(np.unique(shown)) == {0, 255} and (shown[12:24, 12:24] == 255).all()
    assert (shown == 255).mean() == pytest.approx(1 / 16)
    assert (np.asarray(pipeline.region(sample(1, region=None), (48, 48))) == 255).all()


def test_weights_that_would_be_unpickled_are_not_loaded(weights, tmp_path):
    import shutil

    from madi.edit.editors.pipeline import Pipeline

    shutil.copytree(weights, tmp_path / "w")
    unet = tmp_path / "w/unet/diffusion_pytorch_model.safetensors"
    unet.rename(unet.with_suffix(".bin"))
    with pytest.raises(MadiError, match="no weights of"):
        Pipeline(settings(tmp_path / "w"), SHA)


# --- layouts and folders

LAYOUTS = {
    "plain": [row(n) for n in range(3)],
    "geneval": [
        row(n, sources=[], target=None, spec=json.dumps({"geneval": {"tag": "counting", "include": []}}))
        for n in range(3)
    ],
    "magicbrush": [row(n, group_id=f"magicbrush-{100 + n // 2}", turn=1 + n % 2) for n in range(4)],
    "complex-edit": [row(n // 2, sample_id=f"c{n}", complexity=1 + n % 2) for n in range(4)],
    "idea-bench": [row(n, sample_id=f"idea_bench-task_{n:04}") for n in range(3)],
}


def edits_of(rows, seeds=(0,), benchmark="emu_edit"):
    found = []
    for number, one in enumerate(rows):
        for seed in seeds:
            picture = images.picture(np.full((40, 60, 3), 10 * number + seed, np.uint8))
            edit = {"editor": "e", "benchmark": benchmark, "sample_id": one["sample_id"], "pause": 0, "seed": seed}
            edit |= {"status": "ok", "image": picture, "width": 60, "height": 40, "prompt": "", "tokens": 0}
            edit |= {"rope": "none", "sampler_steps": 0, "guidance_text": 0.0, "guidance_image": 0.0, "config_sha": "0"}
            found.append(edit | {"edit_id": records.edit_id(edit)})
    return found


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_exported_is_read_back(tmp_path, layout):
    rows, seeds = LAYOUTS[layout], (0, 1) if layout == "geneval" else (0,)
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    edits = edits_of(rows, seeds)
    shards.write(tmp_path / "e.parquet", edits, records.EDIT)
    count = export.run(tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, layout, tmp_path / "out")
    assert count == len(edits)
    folder, asked = (
        Folder(FolderEditor(path=str(tmp_path / "out"), layout=layout), SHA),
        samples.load(tmp_path / "s.parquet"),
    )
    for edit in edits:
        [result] = folder.edit([work(asked[edit["sample_id"]], seed=edit["seed"])])
        assert (result.image == images.decode(edit["image"]["bytes"], "here")).all()
    assert folder.strangers(asked, (0,), seeds) == []


def test_of_several_seeds_one_place_holds_the_one_that_is_asked_for(tmp_path):
    shards.write(tmp_path / "s.parquet", LAYOUTS["complex-edit"], records.SAMPLE)
    edits = edits_of(LAYOUTS["complex-edit"], (0, 1))
    shards.write(tmp_path / "e.parquet", edits, records.EDIT)
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "complex-edit", tmp_path / "out"
    with pytest.raises(MadiError, match="at seed 0 and .* at seed 1.*; say which with --seed"):
        export.run(*where)
    assert export.run(*where, seed=1) == len(edits) // 2
    made = sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.png"))
    assert made == sorted(edit["image"]["bytes"] for edit in edits if edit["seed"] == 1)
    with pytest.raises(MadiError, match="no edit of emu_edit by e at pause 0 and seed 2"):
        export.run(*where, seed=2)


def test_turns_on_their_own_edits_have_magicbrushs_other_names(tmp_path):
    rows = LAYOUTS["magicbrush"]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits_of(rows), records.EDIT)
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "magicbrush", tmp_path / "out"
    assert export.run(*where, "own") == 4
    names = sorted(path.name for path in (tmp_path / "out").rglob("*.png"))
    assert names == ["100_1.png", "100_iter_2.png", "101_1.png", "101_iter_2.png"]
    asked, settings_ = (
        samples.load(tmp_path / "s.parquet"),
        FolderEditor(path=str(tmp_path / "out"), layout="magicbrush"),
    )
    own, given = Folder(settings_, SHA, "own"), Folder(settings_, SHA)
    assert [own.edit([work(one)])[0].image is not None for one in asked.values()] == [True] * 4
    assert [given.edit([work(one)])[0].reason for one in asked.values()][1] == "100/100_inde_2.png is missing"


def refused(kind, tmp_path):
    """An export that ends in an error: its edits, samples and layout."""
    rows = LAYOUTS["complex-edit"]
    edits, layout = edits_of(rows, (0, 1) if kind == "two seeds" else (0,)), "complex-edit"
    if kind == "no place":
        rows = [*rows[:-1], rows[-1] | {"complexity": None}]
    if kind == "unknown sample":
        rows = rows[:-1]
    if kind == "no data":
        layout = "plain"
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits, records.EDIT)
    return layout


@pytest.mark.parametrize("kind", ["two seeds", "no place", "unknown sample", "no data", "no such editor"])
def test_a_refused_export_leaves_nothing_behind(tmp_path, kind, capsys):
    layout = refused(kind, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    words = ["edit", "export", str(tmp_path / "e.parquet"), "--samples", str(tmp_path / "s.parquet")]
    words += ["--benchmark", "emu_edit", "--editor", "nobody" if kind == "no such editor" else "e"]
    words += ["--layout", layout, "--out", str(tmp_path / "new/out"), "--data", str(tmp_path / "new/data")]
    assert main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1 and sorted(tmp_path.rglob("*")) == before


def test_an_export_that_breaks_off_leaves_the_folder_as_it_was(tmp_path, monkeypatch):
    shards.write(tmp_path / "s.parquet", LAYOUTS["plain"], records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits_of(LAYOUTS["plain"]), records.EDIT)
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "plain", tmp_path / "out"
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").write_text("mine")
    real, written = export.write, []

    def full(path, data):
        written.append(path)
        if len(written) == 3:
            raise OSError("no space left")
        real(path, data)

    monkeypatch.setattr(export, "write", full)
    with pytest.raises(OSError, match="no space"):
        export.run(*where)
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["mine.txt"]
    monkeypatch.setattr(export, "write", real)
    assert export.run(*where) == 3 and (tmp_path / "out/mine.txt").read_text() == "mine"


def test_data_that_cannot_be_written_leave_no_export_either(tmp_path):
    broken = {"bytes": b"no picture", "path": None}
    turn = row(0, group_id="magicbrush-100", turn=1, sources=[broken])
    shards.write(tmp_path / "s.parquet", [turn], records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits_of([turn]), records.EDIT)
    before = sorted(tmp_path.rglob("*"))
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "magicbrush", tmp_path / "out"
    with pytest.raises(MadiError, match="s0 100-input.png: unreadable image"):
        export.run(*where, data=tmp_path / "data")
    assert sorted(tmp_path.rglob("*")) == before


def lay(folder, names, number=0):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(images.encode_png(np.full((8, 8, 3), number, np.uint8)))


@pytest.mark.parametrize("digits", [1, 4, 5])
def test_numbers_are_read_with_any_count_of_digits(tmp_path, digits):
    """GenEval's own script writes samples/00000.png, its README says 0000.png."""
    lay(tmp_path / "g", [f"{7:0{digits}}/samples/{seed:0{digits}}.png" for seed in range(2)] + ["00007/grid.png"])
    prompt = sample(7, sources=[], target=None, spec=json.dumps({"geneval": {"tag": "counting"}}))
    geneval = Folder(FolderEditor(path=str(tmp_path / "g"), layout="geneval"), SHA)
    assert [geneval.edit([work(prompt, seed=seed)])[0].reason for seed in range(2)] == [None, None]
    assert geneval.edit([work(prompt, seed=2)])[0].reason == "00007/samples/0002.png is missing"
    assert geneval.strangers({"s7": prompt}, (0,), (0, 1)) == []
    lay(tmp_path / "c", [f"3/{12:0{digits}}.png"])
    compound = Folder(FolderEditor(path=str(tmp_path / "c"), layout="complex-edit"), SHA)
    assert compound.edit([work(sample(12, complexity=3))])[0].image is not None


def test_two_names_of_one_number_and_folders_of_other_prompts_are_failed_edits(tmp_path):
    lay(tmp_path, ["00007/samples/0000.png", "00007/samples/00000.png", "00008/samples/0000.png"])
    lay(tmp_path, ["9/samples/0000.png", "00009/samples/0000.png"])
    (tmp_path / "00008/metadata.jsonl").write_text(json.dumps({"tag": "colors", "prompt": "a photo of a cow"}))
    folder = Folder(FolderEditor(path=str(tmp_path), layout="geneval"), SHA)
    two, other, again = (folder.edit([work(sample(n, sources=[]))])[0] for n in (7, 8, 9))
    assert again.reason == "00009/samples/0000.png and 9/samples/0000.png are both there: one must go"
    assert two.image is None and "samples/0000.png" in two.reason and "samples/00000.png" in two.reason
    assert (other.image, other.reason) == (None, "00008/metadata.jsonl is of another prompt")
    (tmp_path / "00008/metadata.jsonl").write_text(json.dumps({"tag": "colors", "prompt": "make  it 8"}))
    assert folder.edit([work(sample(8, sources=[]))])[0].image is not None


def test_both_of_magicbrushs_protocols_stand_in_one_folder_and_neither_is_strange(tmp_path):
    rows = LAYOUTS["magicbrush"]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits_of(rows), records.EDIT)
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "magicbrush", tmp_path / "out"
    export.run(*where, "given", data=tmp_path / "data"), export.run(*where, "own")
    made_ = sorted(path.name for path in (tmp_path / "out").rglob("*.png"))
    assert made_ == [f"{session}_{kind}.png" for session in (100, 101) for kind in ("1", "inde_2", "iter_2")]
    asked = samples.load(tmp_path / "s.parquet")
    for turns in ("given", "own"):
        folder = Folder(FolderEditor(path=str(tmp_path / "out"), layout="magicbrush"), SHA, turns)
        assert folder.strangers(asked, (0,), (0,)) == []


def test_magicbrushs_script_finds_as_many_true_images_as_edits(tmp_path):
    """Equal folders, a true output a turn, and each output's local caption under its name."""
    turns = [
        row(n, sample_id=f"m{n}", group_id="magicbrush-100", turn=n + 1, follows=f"m{n - 1}" if n else None,
            target=images.picture(np.full((40, 60, 3), n, np.uint8)), region={"bytes": made.holed(), "path": None},
            source_caption=("a field", "whole 0")[n], target_caption=f"whole {n}", target_caption_local=f"local {n}")
        for n in range(2)
    ]  # fmt: skip
    other = [one | {"sample_id": f"{one['sample_id']}x", "group_id": "magicbrush-200"} for one in turns]
    shards.write(tmp_path / "s.parquet", turns + other, records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits_of(turns), records.EDIT)
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "magicbrush", tmp_path / "out"
    export.run(*where, data=tmp_path / "data")
    assert [p.name for p in (tmp_path / "data/images").iterdir()] == [p.name for p in (tmp_path / "out").iterdir()]
    names = sorted(path.name for path in (tmp_path / "data/images/100").iterdir())
    assert names == [f"100-{kind}.png" for kind in ("input", "mask1", "mask2", "output1", "output2")]
    local = json.loads((tmp_path / "data/local_descriptions.json").read_text())
    assert local == {"100": {"100-output1.png": "local 0", "100-output2.png": "local 1"}}
    whole = json.loads((tmp_path / "data/global_descriptions.json").read_text())["100"]
    assert whole == {"100-input.png": "a field", "100-output1.png": "whole 0", "100-output2.png": "whole 1"}


def test_complex_edits_script_gets_a_data_set_of_the_exported_rows_in_the_names_order(tmp_path):
    """`eval.py` pairs the sorted names with the rows of the whole split: here the split is what was exported."""
    import pyarrow.parquet as pq

    rows = [
        row(3, sample_id=f"c{number}-{level}", complexity=level, instruction=f"do {number} at {level}",
            spec=json.dumps({"index": number, "split": "test_syn"}))
        for number in (12, 2, 530) for level in (1, 2)
    ]  # fmt: skip
    edits = [edit for edit in edits_of(rows) if edit["sample_id"] != "c2-2"]  # one failed: level 2 has a row fewer
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    shards.write(tmp_path / "e.parquet", edits, records.EDIT)
    where = tmp_path / "e.parquet", tmp_path / "s.parquet", "emu_edit", "e", 0, "complex-edit", tmp_path / "out"
    export.run(*where, data=tmp_path / "data")
    for level, numbers in ((1, [2, 12, 530]), (2, [12, 530])):
        assert sorted(path.name for path in (tmp_path / f"out/{level}").iterdir()) == [f"{n:04}.png" for n in numbers]
        folder = tmp_path / f"data/{level}/UCSC-VLAA/Complex-Edit/data"
        [table] = [pq.read_table(path) for path in folder.glob("test_syn-*.parquet")]
        told = [edit["compound"][level - 1]["compound_instruction"] for edit in table["edit"].to_pylist()]
        assert told == [f"do {n} at {level}" for n in numbers]
        assert b'"_type": "Image"' in table.schema.metadata[b"huggingface"]


def test_places_are_those_of_the_official_scripts():
    assert place("geneval", sample(7, sources=[]), 0, 3) == "00007/samples/0003.png"
    turns = [sample(0, group_id="magicbrush-242679", turn=turn) for turn in (1, 2)]
    assert [place("magicbrush", one, 0, 0) for one in turns] == ["242679/242679_1.png", "242679/242679_inde_2.png"]
    assert place("complex-edit", sample(12, complexity=3), 0, 0) == "3/0012.png"
    later = sample(12, complexity=3, spec=json.dumps({"index": 312}))  # row 12 of the split's second file
    assert place("complex-edit", later, 0, 0) == "3/0312.png"
    assert place("idea-bench", sample(0, sample_id="idea_bench-photo_restoration_0001"), 0, 0) == (
        "photo_restoration_0001/0001.jpg"
    )
    assert place("plain", sample(0), 8, 1) == "s0_pause8_seed1.png"
    with pytest.raises(MadiError, match="s0 has no place in the layout magicbrush"):
        place("magicbrush", sample(0), 0, 0)


@pytest.mark.parametrize("name", ["../s", "a/b", "..", "a\\b", "a\0b"])
def test_a_name_from_data_leads_nowhere(name):
    with pytest.raises(MadiError, match="cannot name a file"):
        place("plain", sample(0, sample_id=name), 0, 0)


def test_a_missing_or_unreadable_image_is_a_failed_edit_and_strangers_are_told(tmp_path):
    (tmp_path / "s0.jpg").write_bytes(images.encode_png(np.zeros((8, 8, 3), np.uint8)))  # under another ending
    (tmp_path / "s1.png").write_bytes(b"no picture")
    (tmp_path / "s10.png").write_bytes(images.encode_png(np.zeros((8, 8, 3), np.uint8)))
    folder = Folder(FolderEditor(path=str(tmp_path)), SHA)
    found = folder.edit([work(sample(n)) for n in range(3)])
    assert found[0].image.shape == (8, 8, 3) and [one.image is None for one in found[1:]] == [True, True]
    assert "unreadable" in found[1].reason and found[2].reason == "s2.png is missing"
    assert [p.name for p in folder.strangers({f"s{n}": sample(n) for n in range(3)}, (0,), (0,))] == ["s10.png"]
    with pytest.raises(MadiError, match="no such folder"):
        Folder(FolderEditor(path=str(tmp_path / "gone")), SHA)


# --- published


def test_published_edits_are_joined_by_hash_whatever_their_order_and_split(tmp_path):
    made.emu_edit(tmp_path / "g", "test", generations=True)
    editor = Published(PublishedEditor(path=str(tmp_path / "g")), SHA)
    asked = [sample(n, spec=json.dumps({"hash": f"h{n}"})) for n in (5, 2, 99)]
    found = editor.edit([work(one) for one in asked])
    for result, number in zip(found, (5, 2)):
        assert (result.image == images.decode(made.encoded(100 + number), "here")).all()
    assert found[2].reason == "nothing was published for it"
    with pytest.raises(MadiError, match="no edit; expected rows of other"):
        Published(PublishedEditor(path=str(tmp_path / "g"), model="other"), SHA)
    made.emu_edit(tmp_path / "n")
    with pytest.raises(MadiError, match="no column edited_image"):
        Published(PublishedEditor(path=str(tmp_path / "n")), SHA)


def test_published_edits_of_one_picture_are_told_apart_by_their_instruction(tmp_path):
    """Should a hash be a picture's: its edits are of several instructions."""
    columns = {
        "hash": (made.pa.string(), ["h"] * 3),
        "instruction": (made.pa.string(), ["make it 1", "make  it 2 ", "make it 3"]),
        "model": (made.pa.string(), ["emu"] * 3),
        "edited_image": (made.IMAGE, [made.struct(made.encoded(n)) for n in range(3)]),
    }
    made.parquet(tmp_path / "g/data/test-00000-of-00001.parquet", columns)
    editor = Published(PublishedEditor(path=str(tmp_path / "g")), SHA)
    found = editor.edit([work(sample(n, spec=json.dumps({"hash": "h"}))) for n in (2, 1, 4)])
    for result, number in zip(found, (1, 0)):
        assert (result.image == images.decode(made.encoded(number), "here")).all()
    assert found[2].reason == "nothing was published for it"


# --- an endpoint


class Images(BaseHTTPRequestHandler):
    """OpenAI's image edits: what it answers next, and what it was asked."""

    answers: list = []
    asked: list = []

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.path, self.headers["authorization"], body))
        code, said = self.answers.pop(0) if self.answers else (200, None)
        picture = images.encode_png(np.full((20, 30, 3), 77, np.uint8))
        told = said if said is not None else {"created": 0, "data": [{"b64_json": base64.b64encode(picture).decode()}]}
        self.give(code, told if isinstance(told, bytes) else json.dumps(told).encode())

    def do_GET(self):
        """A picture by its address; what it is called says what is wrong with it."""
        self.asked.append((self.path, self.headers["authorization"], b""))
        picture = images.encode_png(np.full((20, 30, 3), 77, np.uint8))
        if "moved" in self.path:
            self.send_response(302)
            self.send_header("location", "/good.png")
            self.send_header("content-length", "0")
            self.end_headers()
        elif "large" in self.path:
            self.send_response(200)
            self.end_headers()
            for _ in range(200):
                self.wfile.write(bytes(2**20))
        else:
            self.give(404 if "gone" in self.path else 200, b"<html>" if "html" in self.path else picture)

    def give(self, code, data):
        if code == "hang":
            time.sleep(1.5)
            code = 200
        self.send_response(code)
        for name, value in (("content-type", "application/json"), ("content-length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def endpoint(monkeypatch):
    monkeypatch.setenv("MADI_TEST_KEY", "sk-secret-0123456789")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Images)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    Images.answers, Images.asked = [], []
    yield Endpoint(
        EndpointEditor(
            url=f"http://127.0.0.1:{server.server_port}/v1", model="gpt-image", key="MADI_TEST_KEY", tries=2
        ),
        SHA,
    )
    server.shutdown()
    server.server_close()


def test_an_endpoint_gets_picture_and_words_and_its_edit_keeps_its_size(endpoint):
    [result] = endpoint.edit([work(sample(3))])
    assert result.image.shape == (20, 30, 3) and (result.image == 77).all()
    path, key, body = Images.asked[0]
    assert path == "/v1/images/edits" and b"make it 3" in body and b"gpt-image" in body and key.endswith("456789")
    assert sample(3).row["sources"][0]["bytes"][:8] in body


def test_a_refusal_is_this_edits_own_and_a_busy_endpoint_is_asked_again(endpoint):
    Images.answers = [(400, {"error": {"message": "your request was rejected sk-secret-0123456789"}}), (500, {})]
    refused, fine = endpoint.edit([work(sample(1)), work(sample(2))])
    assert refused.refused and "rejected [key]" in refused.reason and fine.image is not None
    Images.answers = [(200, {"created": 0, "data": []}), (200, {"created": 0, "data": [{"b64_json": "bm8="}]})]
    empty, broken = endpoint.edit([work(sample(1)), work(sample(2))])
    assert empty.reason == "an answer without a picture" and "unreadable" in broken.reason


def test_a_wrong_key_stops_the_job_and_is_not_shown(endpoint, monkeypatch):
    Images.answers = [(401, {"error": {"message": "bad key sk-secret-0123456789"}})]
    with pytest.raises(MadiError, match="HTTP 401 .*see MADI_TEST_KEY") as fault:
        endpoint.edit([work(sample(1))])
    assert "sk-secret" not in str(fault.value)
    monkeypatch.delenv("MADI_TEST_KEY")
    with pytest.raises(MadiError, match="MADI_TEST_KEY: not set"):
        Endpoint(endpoint.settings, SHA)


GOOD = base64.b64encode(images.encode_png(np.full((20, 30, 3), 77, np.uint8))).decode()


@pytest.mark.parametrize(
    "data",
    [
        {"url": "/good.png"},
        {"url": "good.png", "b64_json": None},
        {"url": "/moved.png"},
        {"url": f"data:image/png;base64,{GOOD}"},
        {"b64_json": f"data:image/png;base64,{GOOD}"},
        {"b64_json": f"{GOOD[:50]}\n{GOOD[50:]}\n"},
        {"b64_json": GOOD, "url": None, "revised_prompt": "x"},
    ],
)
def test_a_picture_is_taken_as_base64_or_by_its_address_which_is_not_shown_the_key(endpoint, data):
    Images.answers = [(200, {"data": [data]})]
    [result] = endpoint.edit([work(sample(3))])
    assert (
        result.image is not None and (result.image == 77).all() and result.image.shape == (20, 30, 3)
    )  # the size it came in
    assert all(key is None for path, key, _ in Images.asked if "edits" not in path)


NO_PICTURE = {
    "bad base64": {"data": [{"b64_json": "%%%"}]},
    "half of base64": {"data": [{"b64_json": "abc"}]},
    "no ascii": {"data": [{"b64_json": "bild\u00fc"}]},
    "no picture": {"data": [{"b64_json": "bm8="}]},
    "half a picture": {"data": [{"b64_json": base64.b64encode(base64.b64decode(GOOD)[:40]).decode()}]},
    "a number": {"data": [{"b64_json": 5}]},
    "html": b"<html><title>Sign in</title></html>",
    "empty body": b"",
    "half of JSON": b'{"data": [{"b64_json": "',
    "a list": [1, 2],
    "data a mapping": {"data": {"b64_json": GOOD}},
    "data null": {"data": None},
    "no data": {"created": 0},
    "item null": {"data": [None]},
    "gone": {"data": [{"url": "/gone.png"}]},
    "a page": {"data": [{"url": "/html.png"}]},
    "too large": {"data": [{"url": "/large.png"}]},
    "a file": {"data": [{"url": "file:///etc/passwd"}]},
    "no address": {"data": [{"url": "http://["}]},
    "no host": {"data": [{"url": "http://127.0.0.1:1/x"}]},
    "broken data": {"data": [{"url": "data:image/png;base64,%%"}]},
}


@pytest.mark.parametrize("kind", NO_PICTURE)
def test_an_answer_without_a_picture_is_a_failed_edit_and_a_run_of_them_stops_the_job(endpoint, kind, monkeypatch):
    monkeypatch.setattr(endpoint_module, "MOST_BYTES", 2**21)
    Images.answers = [(200, NO_PICTURE[kind])]
    [failed, fine] = endpoint.edit([work(sample(1)), work(sample(2))])
    assert failed.image is None and failed.reason and not failed.refused and fine.image is not None
    Images.answers = [(200, NO_PICTURE[kind])] * 20
    if kind != "too large":
        with pytest.raises(MadiError, match="8 edits in a row came to nothing, last: .*see `url`, `model` and `call`"):
            endpoint.edit([work(sample(n)) for n in range(20)])
        assert len(Images.answers) == 20 - 8


STOPS = [
    (402, {"error": {"message": "Insufficient credits"}}),
    (429, {"error": {"message": "no", "code": "insufficient_quota"}}),
    (400, {"error": {"message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"}}),
    (400, [{"error": {"message": "API key not valid. Please pass a valid API key."}}]),
    (400, {"error": {"message": "Unknown parameter: 'size'.", "code": "unknown_parameter"}}),
    (404, b"<h1>Not Found</h1>"),
    (302, b""),
    (200, {"error": {"code": 402, "message": "Insufficient credits"}}),
]


@pytest.mark.parametrize(("status", "body"), STOPS)
def test_a_fault_of_the_account_stops_the_edits_in_the_endpoints_words(endpoint, status, body):
    Images.answers = [(status, body)] * 3
    with pytest.raises(MadiError, match=f"HTTP {402 if status == 200 else status}") as fault:
        endpoint.edit([work(sample(1))])
    assert len(Images.answers) == 2 and "\n" not in str(fault.value)


def test_an_edit_that_does_not_come_is_late(endpoint):
    slow = Endpoint(endpoint.settings.model_copy(update={"timeout_s": 0.3}), SHA)
    Images.answers = [("hang", None)] * 2
    with pytest.raises(MadiError, match="no answer .no answer in time.*run again later"):
        slow.edit([work(sample(1))])


def test_edits_by_an_endpoint_keep_a_budget_over_all_runs_and_are_paid_once(endpoint, tmp_path, monkeypatch):
    """Each picture is kept before the next is paid for; a larger budget goes on from there; another price redoes
    nothing."""
    monkeypatch.setattr(endpoint_module, "FIRST", 0.01)
    rows = [row(n) for n in range(6)]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    job = EditSlice.model_validate(
        {
            "job": "far", "name": "t", "threads": 1, "size_px": 64, "base": "none",
            "sampler": {"steps": 1, "guidance": 1, "image_guidance": 1, "batch": 4},
            "editors": {"far": {"kind": "endpoint", "endpoint": endpoint.settings.model_dump()}},
            "asks": [{"benchmark": "emu_edit", "editors": ["far"], "pauses": [0], "seeds": [0]}],
        }
    )  # fmt: skip
    Images.answers = [(200, None), (500, {}), (200, {"data": []}), (400, {"error": {"message": "unsafe"}})]

    def run(budget, price=0.04):
        spending = {"far": Spending(price=price, budget=budget)}
        files = {"emu_edit": tmp_path / "s.parquet"}
        shard.run(job, files, {}, tmp_path / "e.parquet", tmp_path / "c.jpg", spending=spending)

    for _ in range(2):
        with pytest.raises(Paused, match="the budget of 0.1 ends here .0.08 spent on 2 edits of this shard"):
            run(0.1)
        assert len(Images.asked) == 3
    run(1.0)
    spent = [json.loads(line)["paid"] for line in (tmp_path / "e.far.paid.jsonl").read_text().splitlines()]
    assert len(spent) == 5 and sum(spent) == pytest.approx(0.2)  # what was refused, or came to an error, is free
    assert len(Images.asked) == 7
    made = shards.read(tmp_path / "e.parquet", records.EDIT)
    assert [one["status"] for one in made] == ["ok", "failed", "refused", "ok", "ok", "ok"]


def test_what_an_endpoint_gave_to_nobody_is_not_held_against_the_edits(endpoint, tmp_path):
    rows = [row(n) for n in range(10)]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    job = EditSlice.model_validate(
        {
            "job": "far", "name": "t", "threads": 1, "size_px": 64, "base": "none",
            "sampler": {"steps": 1, "guidance": 1, "image_guidance": 1, "batch": 4},
            "editors": {"far": {"kind": "endpoint", "endpoint": endpoint.settings.model_dump()}},
            "asks": [{"benchmark": "emu_edit", "editors": ["far"], "pauses": [0], "seeds": [0]}],
        }
    )  # fmt: skip
    Images.answers = [(200, b"<html>")] * 8
    with pytest.raises(MadiError, match="8 edits in a row came to nothing"):
        shard.run(job, {"emu_edit": tmp_path / "s.parquet"}, {}, tmp_path / "e.parquet", tmp_path / "c.jpg")
    shard.run(job, {"emu_edit": tmp_path / "s.parquet"}, {}, tmp_path / "e.parquet", tmp_path / "c.jpg")
    assert {one["status"] for one in shards.read(tmp_path / "e.parquet", records.EDIT)} == {"ok"}


@pytest.mark.parametrize("line", ["x", '{"sample": "a", "paid": NaN}', '{"sample": "a", "paid": -1}', "{}", "[1]"])
def test_a_broken_ledger_is_named(tmp_path, line):
    (tmp_path / "l.jsonl").write_text(f'{{"sample": "a", "paid": 1}}\n{line}\n')
    with pytest.raises(MadiError, match="l.jsonl line 2: no entry"):
        Ledger(Spending(price=1.0), tmp_path / "l.jsonl")


# --- in a job


def test_a_job_of_others_writes_every_row(weights, tmp_path):
    rows = [row(n) for n in range(3)]
    shards.write(tmp_path / "s.parquet", rows, records.SAMPLE)
    (tmp_path / "given").mkdir()
    (tmp_path / "given/s1.png").write_bytes(images.encode_png(np.full((40, 60, 3), 5, np.uint8)))
    job = EditSlice.model_validate(
        {
            "job": "others", "name": "t", "threads": 1, "size_px": 64, "base": "none",
            "sampler": {"steps": 1, "guidance": 1, "image_guidance": 1, "batch": 2},
            "editors": {
                "ip2p": {"kind": "pipeline", "pipeline": settings(weights).model_dump()},
                "mine": {"kind": "folder", "folder": {"path": str(tmp_path / "given")}},
            },
            "asks": [{"benchmark": "emu_edit", "editors": ["ip2p", "mine"], "pauses": [0], "seeds": [0]}],
        }
    )  # fmt: skip
    shard.run(job, {"emu_edit": tmp_path / "s.parquet"}, {}, tmp_path / "e.parquet", tmp_path / "c.jpg")
    found = {(r["editor"], r["sample_id"]): r for r in shards.read(tmp_path / "e.parquet", records.EDIT)}
    assert len(found) == 6 and [found["ip2p", f"s{n}"]["status"] for n in range(3)] == ["ok"] * 3
    assert [found["mine", f"s{n}"]["status"] for n in range(3)] == ["failed", "ok", "failed"]
    assert found["mine", "s0"]["reason"] == "s0.png is missing" and found["ip2p", "s0"]["sampler_steps"] == 2
    assert found["ip2p", "s0"]["config_sha"] != found["mine", "s0"]["config_sha"]
