"""Scores of a folder of images: the same as of the same edits in a workflow, and no image under another's name."""

import html
import json

import numpy as np
import pytest

from madi import images, records, samples, shards
from madi.cli import main
from madi.config import DataSlice
from madi.data import prepare
from madi.edit import export
from madi.edit.editors.reference import Copy, Truth
from madi.edit.work import Work, record

COUNT = 8


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Samples of the scene world, the truth's edits of them as a folder, and a copy's edits of a second."""
    folder = tmp_path_factory.mktemp("world")
    source = {"reader": "scenes", "samples": COUNT}
    job = DataSlice(set="emu_edit", name="t", seed=0, size_px=64, source=source)
    prepare.run(job, folder / "samples.json", {}, None, {})
    found = samples.load(folder / "samples.json")
    for name, editor in (("truth", Truth("0" * 64)), ("copy", Copy("0" * 64))):
        works = [Work(name, "emu_edit", one, 0, 0) for one in found.values()]
        rows = [record(work, result, editor.facts) for work, result in zip(works, editor.edit(works))]
        shards.write(folder / f"{name}.parquet", rows, records.EDIT)
        export.run(folder / f"{name}.parquet", folder / "samples.json", "emu_edit", name, 0, "plain", folder / name)
    return folder


def score(world, images_, out, *more):
    words = ["score", "folder", str(images_), "--benchmark", "emu_edit", "--samples", str(world / "samples.json")]
    return main([*words, "--out", str(out), "--threads", "1", *more])


def by_metric(out):
    import pandas as pd

    table = pd.read_csv(out / "table.csv")
    return {(row["metric"], row["against"], row["task"]): row for row in table.to_dict("records")}


def test_the_truth_is_far_and_a_copy_near_and_both_are_told_with_intervals(world, tmp_path, capsys):
    assert score(world, world / "truth", tmp_path / "t") == 0 and score(world, world / "copy", tmp_path / "c") == 0
    truth, copy = by_metric(tmp_path / "t"), by_metric(tmp_path / "c")
    assert copy["clip_i", "source", "all"]["mean"] == pytest.approx(1, abs=1e-6)
    assert copy["clip_dir", "source", "all"]["mean"] == 0 < truth["clip_dir", "source", "all"]["mean"]
    assert truth["l1", "target", "all"]["mean"] == 0 < copy["l1", "target", "all"]["mean"]
    whole = truth["clip_dir", "source", "all"]
    assert whole["low"] < whole["mean"] < whole["high"] and whole["n"] == COUNT and whole["missing"] == 0
    tasks = {task for metric, _, task in truth if metric == "clip_dir"} - {"all"}
    assert len(tasks) == COUNT
    told = capsys.readouterr().out
    assert "clip_dir (source)" in told and "written: " in told
    page = (tmp_path / "t/index.html").read_text()
    assert page.count("data:image/jpeg") >= 2 * COUNT and "Highest clip_dir" in page and "http" not in page


def test_a_missing_a_broken_and_a_strange_image_shift_no_other(world, tmp_path, capsys):
    mine = tmp_path / "mine"
    mine.mkdir()
    files = sorted((world / "truth").iterdir())
    for path in files:
        (mine / path.name).write_bytes(path.read_bytes())
    (mine / files[0].name).unlink()
    (mine / files[1].name).write_bytes(b"no picture")
    (mine / "another.png").write_bytes(files[0].read_bytes())
    assert score(world, mine, tmp_path / "m") == 0 and score(world, world / "truth", tmp_path / "t") == 0
    said = capsys.readouterr().err
    assert f"2 of {COUNT} images are missing or unreadable" in said
    assert "1 images are in no sample's place and are not scored (another.png)" in said
    some, whole = (shards.read(tmp_path / name / "scores.parquet", records.SCORE) for name in "mt")
    values = {row["score_id"]: row["value"] for row in whole}
    gone = {path.stem for path in files[:2]}
    for row in some:
        assert (row["status"] == "missing") == (row["sample_id"] in gone) or row["status"] == "excluded"
        assert row["value"] is None or row["value"] == values[row["score_id"]]
    assert by_metric(tmp_path / "m")["dino", "source", "all"]["missing"] == 2


def test_emu_edit_is_shown_over_all_rows_and_over_those_with_clean_captions(world, tmp_path, capsys):
    rows = shards.read(world / "samples.json", records.SAMPLE)
    for row in rows[:2]:
        row["spec"] = json.dumps(json.loads(row["spec"]) | {"captions": "a placeholder"})
    shards.write(tmp_path / "samples.parquet", rows, records.SAMPLE)
    words = ["score", "folder", str(world / "truth"), "--benchmark", "emu_edit", "--threads", "1"]
    assert main([*words, "--samples", str(tmp_path / "samples.parquet"), "--out", str(tmp_path / "e")]) == 0
    table, placeholders = by_metric(tmp_path / "e"), {row["sample_id"] for row in rows[:2]}
    counts = {task: table["clip_t", "global_caption", task]["n"] for task in ("all", "clean captions")}
    assert counts == {"all": COUNT, "clean captions": COUNT - 2}
    scores = shards.read(tmp_path / "e/scores.parquet", records.SCORE)
    mine = [s["value"] for s in scores if s["metric"] == "clip_t" and s["sample_id"] not in placeholders]
    assert table["clip_t", "global_caption", "clean captions"]["mean"] == pytest.approx(sum(mine) / len(mine))
    assert "clip_t (global_caption, clean captions)" in capsys.readouterr().out


def test_a_folder_of_another_layout_is_one_line(world, tmp_path, capsys):
    assert score(world, world / "truth", tmp_path / "o", "--layout", "magicbrush") == 2
    assert "has no place in the layout magicbrush" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert score(world, tmp_path / "empty", tmp_path / "o") == 2
    assert "no image of emu_edit" in capsys.readouterr().err


def test_text_from_data_is_escaped(world, tmp_path):
    evil = "<script>alert('x')</script>"
    rows = [row | {"instruction": evil} for row in shards.read(world / "samples.json", records.SAMPLE)]
    shards.write(tmp_path / "samples.parquet", rows, records.SAMPLE)
    words = ["score", "folder", str(world / "truth"), "--benchmark", "emu_edit"]
    words += ["--samples", str(tmp_path / "samples.parquet"), "--out", str(tmp_path / "e"), "--threads", "1"]
    assert main(words) == 0
    page = (tmp_path / "e/index.html").read_text()
    assert evil not in page and html.escape(evil, quote=False).replace("'", "&#39;") in page


def prompts(folder, count):
    """Scene prompts of GenEval, and their truths as a folder in the official layout: two images each, the second
    wrong."""
    job = DataSlice(set="geneval", name="t", seed=0, size_px=64, source={"reader": "scenes", "samples": count})
    prepare.run(job, folder / "samples.json", {}, None, {})
    found = samples.load(folder / "samples.json")
    for one in found.values():
        for seed in range(2):
            path = folder / f"g/{one.row['origin']['row']:05}/samples/{seed:04}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            wrong = np.zeros((64, 64, 3), np.uint8)
            path.write_bytes(images.encode_png(one.target() if seed == 0 else wrong))
    return found


def score_prompts(folder, file, out, *more):
    words = ["score", "folder", str(folder), "--benchmark", "geneval", "--layout", "geneval", "--seeds", "2"]
    return main([*words, "--samples", str(file), "--out", str(out), "--threads", "1", *more])


def test_geneval_has_several_images_a_prompt_and_the_mean_of_its_tags(tmp_path):
    found = prompts(tmp_path, 7)
    rules = {key: one.spec()["geneval"]["tag"] for key, one in found.items()}
    first = next(iter(rules))
    path = tmp_path / f"g/{found[first].row['origin']['row']:05}/samples/0000.png"
    path.write_bytes(images.encode_png(np.zeros((64, 64, 3), np.uint8)))  # one prompt has none right
    assert score_prompts(tmp_path / "g", tmp_path / "samples.json", tmp_path / "o") == 0
    table = by_metric(tmp_path / "o")
    tags = set(rules.values())
    assert len(tags) < len(rules)  # unequal numbers of prompts: the two means differ
    means = {tag: np.mean([0.0 if key == first else 0.5 for key in rules if rules[key] == tag]) for tag in tags}
    for tag, mean in means.items():
        assert table["geneval_correct", "truth", tag]["mean"] == pytest.approx(mean)
    whole = table["geneval_correct", "truth", "all"]
    assert whole["mean"] == pytest.approx(np.mean([*means.values()])) != pytest.approx(0.5 * 6 / 7)
    assert whole["statistic"] == "mean over tags"


def published(world, tmp_path, count=2):
    """Samples as they are published: nothing says what is in their pictures."""
    rows = [row | {"spec": None} for row in shards.read(world / "samples.json", records.SAMPLE)[:count]]
    shards.write(tmp_path / "photos.parquet", rows, records.SAMPLE)
    return tmp_path / "photos.parquet"


def test_on_photographs_no_small_model_is_used_unasked(world, tmp_path, capsys):
    file = published(world, tmp_path)
    words = ["score", "folder", str(world / "truth"), "--benchmark", "emu_edit", "--samples", str(file)]
    assert main([*words, "--out", str(tmp_path / "n"), "--threads", "1"]) == 0
    said = capsys.readouterr().out
    table = by_metric(tmp_path / "n")
    for metric in ("clip_i", "clip_t", "clip_dir", "dino"):
        row = next(row for key, row in table.items() if key[0] == metric and key[2] == "all")
        assert np.isnan(row["mean"]) and (row["n"], row["missing"], row["backend"]) == (0, 2, "none")
        assert f"{metric} ({row['against']}): {row['reason']}" in said and "is named (--" in row["reason"]
    assert table["l1", "source", "all"]["n"] == 2  # what needs no model is there
    named = ["--clip", "assets/tiny/clip", "--dino", "assets/tiny/dino"]  # asked for, it is used
    assert main([*words, "--out", str(tmp_path / "m"), "--threads", "1", *named]) == 0
    asked = by_metric(tmp_path / "m")
    assert asked["clip_i", "source", "all"]["n"] == asked["dino", "source", "all"]["n"] == 2
    assert asked["clip_i", "source", "all"]["backend"].startswith("clip@")


def test_on_published_prompts_geneval_is_missing_without_a_detector(tmp_path, capsys):
    prompts(tmp_path, 3)
    rows = shards.read(tmp_path / "samples.json", records.SAMPLE)
    for row in rows:
        row["spec"] = json.dumps({"geneval": json.loads(row["spec"])["geneval"]})
    shards.write(tmp_path / "published.parquet", rows, records.SAMPLE)
    assert score_prompts(tmp_path / "g", tmp_path / "published.parquet", tmp_path / "o") == 0
    row = by_metric(tmp_path / "o")["geneval_correct", "truth", "all"]
    assert np.isnan(row["mean"]) and (row["n"], row["missing"]) == (0, 6)
    assert "geneval_correct (truth): no detector is named (--detector DIR" in capsys.readouterr().out
    assert score_prompts(tmp_path / "g", tmp_path / "published.parquet", tmp_path / "o", "--colours", "x") == 2
    assert "--colours: a CLIP for colours, and no detector" in capsys.readouterr().err
