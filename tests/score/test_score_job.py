"""Embeddings and the score job: alone equals batched, exclusions counted, failures missing, faults named."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import tiny_towers as tiny

from madi import images, records, shards
from madi.config import JudgeSlice, ScoreSlice
from madi.errors import MadiError
from madi.scenes.render import render
from madi.scenes.world import Scene, Thing
from madi.score import judge, metrics, outcome, pixels
from madi.score.detect import detections
from madi.score.embed import Once, direction

SOURCE = Scene("sky", 0, "plain", "day", (Thing(0, "circle", "red", "large"), Thing(4, "star", "blue", "small")))
TARGET = SOURCE.put(Thing(0, "circle", "green", "large"))
OPS = [{"op": "recolor", "cell": 0, "colour": "green"}]
GENEVAL = {"tag": "colors", "include": [{"class": "circle", "count": 1, "color": "green"}], "exclude": []}
ITEMS = [{"level": 1 + n // 2, "tag": "IF", "least": 5.0, "question": "?"} for n in range(6)]


@pytest.fixture(scope="module")
def towers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("towers")
    return tiny.clip_folder(folder / "clip"), tiny.dino_folder(folder / "dino")


def sample_row(name="s0", sources=(SOURCE,), captions=("a red circle", "a green circle"), local=None, **spec):
    return {
        "sample_id": name,
        "set": "emu_edit",
        "split": "bench",
        "group_id": name,
        "sources": [images.picture(render(scene)) for scene in sources],
        "target": images.picture(render(TARGET)),
        "instruction": "make the circle green",
        "source_caption": captions[0],
        "target_caption": captions[1],
        "target_caption_local": local,
        "spec": json.dumps({"sources": [s.to_dict() for s in sources], "target": TARGET.to_dict(), "ops": OPS} | spec),
        "phash": "0" * 16,
        "sha256": "0" * 64,
        "origin": {"file": "made", "row": 0, "revision": "0"},
    }


def edit_row(image, sample="s0", benchmark="emu_edit", pause=0, status="ok"):
    row = {"editor": "ft", "benchmark": benchmark, "sample_id": sample, "pause": pause, "seed": 0, "status": status}
    row |= {"prompt": "", "tokens": 0, "rope": "none", "sampler_steps": 0, "guidance_text": 0.0}
    row |= {"guidance_image": 0.0, "config_sha": "0", "width": 0, "height": 0}
    if status == "ok":
        row["image"] = images.picture(image) if isinstance(image, np.ndarray) else {"bytes": image, "path": None}
    else:
        row["reason"] = "the latents are not finite"
    return row | {"edit_id": records.edit_id(row)}


def question_rows(sample="s0"):
    rows = []
    for number, tag in enumerate(("IF", "IF", "IDP", "IDP", "PQ")):
        options = [{"key": key, "text": str(key)} for key in range(6)]
        row = {"sample_id": sample, "tag": tag, "text": f"{number}?", "options": options, "max_key": 5}
        rows.append(row | {"question_id": records.question_id(row), "judge": "truth", "prompt_sha": "p"})
    return rows


def score(folder, towers, samples, edits, questions=None, batch=4, more=None, threads=1):
    """Score rows by (sample, pause, metric, against), and the answers."""
    from madi.score.shard import run

    folder.mkdir(exist_ok=True, parents=True)
    names = dict.fromkeys(row["benchmark"] for row in edits)
    shards.write(folder / "samples.parquet", samples, records.SAMPLE)
    shards.write(folder / "edits.parquet", edits, records.EDIT)
    bank = {}
    if questions is not None:
        shards.write(folder / "questions.parquet", questions, records.QUESTION)
        bank = {name: folder / "questions.parquet" for name in names}
    protocols = ["idea_bench"] if questions is None else ["five_questions", "idea_bench"]
    asked = JudgeSlice(job="ft", judge="oracle", rollouts=1, protocols=dict.fromkeys(names, protocols))
    facts = {"job": "ft", "name": "test", "threads": threads, "judge": asked, "batch": batch}
    facts |= {"more": more or {}}
    clip, dino = (str(one) if one else None for one in towers)
    job = ScoreSlice.model_validate(facts | {"clip": clip, "dino": dino})
    files = {name: folder / "samples.parquet" for name in names}
    out, answers = folder / "scores.parquet", folder / "answers.parquet"
    judge.run(asked, folder / "edits.parquet", files, bank, answers, None)
    run(job, folder / "edits.parquet", files, bank, answers, out)
    rows = shards.read(out, records.SCORE)
    found = {(row["sample_id"], row["pause"], row["metric"], row["against"]): row for row in rows}
    assert len(found) == len(rows) == len({row["score_id"] for row in rows})
    return found, shards.read(answers, records.ANSWER)


def noisy(scene, seed):
    picture = render(scene).astype(int) + np.random.default_rng(seed).integers(-20, 20, (128, 128, 3))
    return picture.clip(0, 255).astype(np.uint8)


def test_each_item_is_embedded_once_and_alone_as_in_company():
    seen = []

    def encode(batch):
        seen.append(list(batch))
        return np.asarray(batch, np.float32)[:, None]

    once = Once(encode, 3)
    for item in (1, 2, 1, 2, 3, 4):
        once.add(item, lambda item=item: item)
    assert [once[k][0] for k in (4, 1)] == [4, 1]
    assert seen == [[1, 2, 3], [4, 4, 4]]  # fixed shape, filled up with the last


def test_alone_equals_batched_byte_for_byte(towers, tmp_path):
    samples = [sample_row(f"s{n}") for n in range(5)]
    edits = [edit_row(noisy(TARGET, n), f"s{n}") for n in range(5)]
    together, _ = score(tmp_path / "all", towers, samples, edits)
    alone, _ = score(tmp_path / "one", towers, samples, edits[3:4])
    assert alone == {key: row for key, row in together.items() if key[0] == "s3"}
    turned, _ = score(tmp_path / "turned", towers, samples, edits[::-1])
    assert turned == together


def test_equal_work_gives_equal_bytes(towers, tmp_path):
    for name in "ab":
        score(tmp_path / name, towers, [sample_row()], [edit_row(render(TARGET))], question_rows())
    for file in ("scores.parquet", "answers.parquet"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_swapping_source_and_edit_or_the_captions_flips_the_sign():
    rng = np.random.default_rng(0)
    s, e, a, b = rng.normal(size=(4, 16))
    value, reason = direction(s, e, a, b)
    assert reason is None and 0.01 < abs(value) <= 1
    assert direction(e, s, a, b)[0] == pytest.approx(-value)
    assert direction(s, e, b, a)[0] == pytest.approx(-value)
    assert direction(e, s, b, a)[0] == pytest.approx(value)


def test_no_direction_in_captions_is_excluded_and_a_copy_scores_nothing():
    s, e, a, b = np.eye(4)
    assert direction(s, e, a, a) == (None, "captions embed alike")
    assert direction(s, s, a, b) == (0.0, "copied")
    assert direction(s, s, a, a) == (None, "captions embed alike")


def test_identical_captions_are_counted_and_a_copied_source_is_zero(towers, tmp_path):
    samples = [
        sample_row("s0"),
        sample_row("same", captions=("a red circle",) * 2),
        sample_row("none", captions=(None,) * 2),
    ]
    edits = [edit_row(render(SOURCE), "s0"), edit_row(render(TARGET), "same"), edit_row(render(TARGET), "none")]
    found, _ = score(tmp_path, towers, samples, edits)
    told = {name: found[name, 0, "clip_dir", "source"] for name in ("s0", "same", "none")}
    assert (told["s0"]["value"], told["s0"]["status"], told["s0"]["reason"]) == (0.0, "ok", "copied")
    assert (told["same"]["value"], told["same"]["status"]) == (None, "excluded")
    assert told["same"]["reason"] == "identical captions" and told["none"]["reason"] == "no caption"
    copied = {key[2:]: row["value"] for key, row in found.items() if key[0] == "s0"}
    assert copied["clip_i", "source"] == pytest.approx(1) and copied["dino", "source"] == pytest.approx(1)
    assert copied["l1", "source"] == copied["l2", "source"] == 0 < copied["l1", "target"]


def test_a_copy_and_a_true_target_meet_the_oracles_laws(towers, tmp_path):
    samples = [sample_row(items=ITEMS, local="green circle")]
    edits = [edit_row(render(SOURCE)), edit_row(render(TARGET), pause=8)]
    found, answers = score(tmp_path, towers, samples, edits, question_rows())
    value = {key[1:3]: row["value"] for key, row in found.items() if key[3] in ("truth", "judge")}
    oracle = ("oracle_if", "oracle_idp", "oracle_pq")
    assert [value[0, name] for name in oracle] == pytest.approx([0, 10, 10], abs=0.01)
    assert [value[8, name] for name in oracle] == pytest.approx([10, 10, 10], abs=0.01)
    assert [value[0, name] for name in ("qa_if", "qa_idp", "qa_mllm", "qa_mean3")] == [1, 10, 5.5, 7]
    assert value[8, "qa_mllm"] == 10 and (value[0, "idea_success"], value[8, "idea_success"]) == (0, 1)
    five = [row["key"] for row in answers if row["protocol"] == "five_questions"]
    assert five == [0, 0, 5, 5, 5] + [5] * 5 and len(answers) == 2 * (5 + 6 + 3)
    own = {(row["pause"], row["question_id"]): row["value"] for row in answers if row["protocol"] == "truth"}
    assert own[0, "IF"] == value[0, "oracle_if"] and own[8, "PQ"] == value[8, "oracle_pq"]
    assert found["s0", 0, "clip_t", "local_caption"]["status"] == "ok"
    backends = {key[2]: row["backend"] for key, row in found.items()}
    for metric, said in (
        ("clip_t", r"clip@[0-9a-f]{8} resize=32-bicubic crop=32"),
        ("dino", r"dino@[0-9a-f]{8} resize=32-bicubic crop=32"),
        ("l1", "pixels resize=bicubic"),
        ("oracle_if", "oracle"),
        ("qa_mllm", r"oracle@1 five_questions@[0-9a-f]{8}"),
        ("idea_success", r"oracle@1 idea_bench@[0-9a-f]{8}"),
    ):
        assert re.fullmatch(said, backends[metric]), backends[metric]


def test_more_models_give_numbers_of_their_own_and_change_no_other(towers, tmp_path):
    samples, edits = (
        [sample_row(local="green circle")],
        [edit_row(noisy(TARGET, 1)), edit_row(None, pause=8, status="failed")],
    )
    alone, _ = score(tmp_path / "a", towers, samples, edits)
    more = {"l14": {"kind": "clip", "folder": str(towers[0])}, "b16": {"kind": "dino", "folder": str(towers[1])}}
    both, _ = score(tmp_path / "b", towers, samples, edits, more=more)
    assert {key: row for key, row in both.items() if key in alone} == alone
    added = {key: row for key, row in both.items() if key not in alone}
    names = {metric for _, _, metric, _ in added}
    assert names == {"clip_i_l14", "clip_t_l14", "clip_dir_l14", "dino_b16"}
    for (sample, pause, metric, against), row in added.items():  # the same weights: the same numbers
        first = both[sample, pause, metric.rsplit("_", 1)[0], against]
        assert (row["value"], row["status"], row["backend"]) == (first["value"], first["status"], first["backend"])


def test_text_to_image_gets_its_two_numbers(towers, tmp_path):
    samples = [sample_row(sources=(), geneval=GENEVAL)]
    edits = [edit_row(render(TARGET), benchmark="geneval"), edit_row(render(SOURCE), benchmark="geneval", pause=8)]
    found, answers = score(tmp_path, towers, samples, edits)
    assert {key[2:] for key in found} == {("clip_t", "global_caption"), ("geneval_correct", "truth")}
    right, wrong = (found["s0", pause, "geneval_correct", "truth"] for pause in (0, 8))
    assert (right["value"], right["reason"], right["backend"]) == (1.0, None, "parser")
    assert wrong["value"] == 0.0 and "expected green circle" in wrong["reason"]
    assert answers == []


def test_a_failed_edit_has_every_row_missing_and_no_number(towers, tmp_path):
    samples = [sample_row()]
    edits = [edit_row(render(TARGET)), edit_row(None, pause=8, status="failed")]
    found, answers = score(tmp_path, towers, samples, edits, question_rows())
    stood, failed = ({key[2:]: row for key, row in found.items() if key[1] == pause} for pause in (0, 8))
    assert stood.keys() == failed.keys()
    assert {(row["status"], row["value"]) for row in failed.values()} == {("missing", None)}
    assert {row["reason"] for row in failed.values()} == {"edit failed: the latents are not finite"}
    assert [row["status"] for row in answers] == ["ok"] * (5 + 3) + ["missing"] * 5


def test_a_number_that_is_not_finite_is_missing():
    assert outcome.of(float("nan")).status == outcome.of(float("inf")).status == "missing"


@pytest.mark.parametrize("where", ["edit", "source", "target"])
def test_an_unreadable_image_names_file_row_and_field(where, towers, tmp_path):
    samples, edits = (
        [sample_row("s0"), sample_row("s1")],
        [edit_row(render(TARGET), "s0"), edit_row(render(TARGET), "s1")],
    )
    broken = {"bytes": b"\x89PNG nothing", "path": None}
    if where == "edit":
        edits[1]["image"], told = broken, r"edits\.parquet row 1 column image"
    elif where == "source":
        samples[1]["sources"], told = [broken], r"samples\.parquet row 1 column sources\[0\]"
    else:
        samples[1]["target"], told = broken, r"samples\.parquet row 1 column target"
    with pytest.raises(MadiError, match=told + ".*unreadable image"):
        score(tmp_path, towers, samples, edits)


def test_an_edit_of_an_unknown_sample_is_named(towers, tmp_path):
    with pytest.raises(MadiError, match=r"edits\.parquet row 0 column sample_id.*'gone'"):
        score(tmp_path, towers, [sample_row()], [edit_row(render(TARGET), "gone")])


def test_a_model_that_nobody_named_makes_no_number_and_moves_no_other(towers, tmp_path):
    samples = [sample_row("s0"), sample_row("t2i", sources=(), geneval=GENEVAL)]
    edits = [edit_row(render(TARGET), "s0"), edit_row(render(TARGET), "t2i")]
    whole, _ = score(tmp_path / "a", towers, samples, edits)
    some, _ = score(tmp_path / "b", (None, towers[1]), samples, edits)
    assert some.keys() == whole.keys()
    for key, row in some.items():
        if key[2].startswith("clip"):
            assert (row["status"], row["reason"]) == ("missing", "no CLIP is named (--clip DIR)")
        else:
            assert row == whole[key]


def test_the_scene_parser_decides_nothing_about_photographs(towers, tmp_path):
    samples = [sample_row("s0", sources=(), geneval=GENEVAL), sample_row("photo", sources=())]
    samples[1] |= {"spec": json.dumps({"geneval": GENEVAL})}  # as published: no scene behind it
    edits = [edit_row(render(TARGET), name, "geneval") for name in ("s0", "photo")]
    found, _ = score(tmp_path, towers, samples, edits)
    assert found["s0", 0, "geneval_correct", "truth"]["value"] == 1
    row = found["photo", 0, "geneval_correct", "truth"]
    assert (row["value"], row["status"]) == (None, "missing") and "no detector is named" in row["reason"]


def test_every_score_is_a_row_of_the_table_of_metrics(towers, tmp_path):
    """Whatever a job writes, listed, computed or failed, `madi config check` knows too."""
    samples = [sample_row(items=ITEMS, local="green circle"), sample_row("t2i", sources=(), geneval=GENEVAL)]
    edits = [edit_row(render(TARGET)), edit_row(None, pause=8, status="failed"), edit_row(render(TARGET), "t2i")]
    more = {"l14": {"kind": "clip", "folder": str(towers[0])}, "b16": {"kind": "dino", "folder": str(towers[1])}}
    found, _ = score(tmp_path, towers, samples, edits, question_rows(), more=more)
    made = {f"{metric}/{against}" for _, _, metric, against in found}
    assert made <= metrics.names({"l14": "clip", "b16": "dino"})
    judged = {name for name in metrics.names({}) if name.endswith("/judge")}
    assert metrics.names({}) - judged <= made  # each but other protocols' was made here


def test_a_new_metric_is_one_row_of_the_table(towers, tmp_path, monkeypatch):
    """It is computed, listed for an edit that failed, and known to the check."""
    new = metrics.Metric("brighter", "pixels", ("source",), metrics.pixelwise(lambda a, b: float(a.mean() - b.mean())))
    monkeypatch.setattr(metrics, "TABLE", (*metrics.TABLE, new))
    monkeypatch.setitem(metrics.BY_SCORER, "pixels", [*metrics.BY_SCORER["pixels"], new])
    edits = [edit_row(render(TARGET)), edit_row(None, pause=8, status="failed")]
    found, _ = score(tmp_path, towers, [sample_row()], edits)
    value = render(TARGET).mean() - render(SOURCE).mean()
    assert found["s0", 0, "brighter", "source"]["value"] == pytest.approx(value)
    assert found["s0", 8, "brighter", "source"]["status"] == "missing"
    assert "brighter/source" in metrics.names({})


def test_pictures_ahead_of_their_turn_are_the_same_in_any_number_of_threads(towers, tmp_path):
    samples = [sample_row(f"s{n}") for n in range(6)]
    edits = [edit_row(noisy(TARGET, n), f"s{n // 2}", pause=n % 2) for n in range(12)]
    for threads in (1, 3):
        score(tmp_path / str(threads), towers, samples, edits, threads=threads)
    one, three = ((tmp_path / name / "scores.parquet").read_bytes() for name in ("1", "3"))
    assert one == three


def test_pixel_distances_are_of_the_unit_range():
    black, grey = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 51, np.uint8)
    assert pixels.l1(grey, black) == pytest.approx(0.2) and pixels.l2(black, grey) == pytest.approx(0.04)


def test_boxes_hold_what_is_drawn():
    drawn, bare = render(TARGET).astype(int), render(TARGET.without(0)).astype(int)
    left, top, right, bottom = detections(TARGET, 128)["circle"][0].box
    changed = np.abs(drawn - bare).max(2)
    assert changed[top:bottom, left:right].any(axis=0).all() and changed[top:bottom, left:right].any(axis=1).all()
    most = changed.max()
    changed[top:bottom, left:right] = 0
    assert changed.max() < 0.6 * most  # the soft rim and the shadow
    assert detections(None, 128) == {}


@pytest.mark.parametrize("tower, file", [(0, "open_clip_model.safetensors"), (1, "model.safetensors")])
def test_a_folder_without_its_weights_or_with_others_is_named(tower, file, towers, tmp_path):
    from safetensors.torch import load_file, save_file

    from madi.score.clip import Clip
    from madi.score.dino import Dino

    load = (Clip, Dino)[tower]
    for source in towers[tower].iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    tensors = load_file(tmp_path / file)
    save_file({name: tensor for name, tensor in list(tensors.items())[1:]}, tmp_path / file)
    with pytest.raises(MadiError, match=str(tmp_path)):
        load(tmp_path)
    whole = (towers[tower] / file).read_bytes()
    for length in (0, 100, len(whole) // 2):
        (tmp_path / file).write_bytes(whole[:length])
        with pytest.raises(MadiError, match=str(tmp_path)):
            load(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(MadiError, match=f"{file} is missing"):
        load(tmp_path)


def test_importing_the_stage_loads_no_model_library():
    code = (
        "import sys, madi.score.shard, madi.score.clip, madi.score.dino, madi.score.verbs;"
        "assert not {'torch', 'diffusers', 'open_clip', 'timm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
