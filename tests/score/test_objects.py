"""GenEval on photographs: the detector's objects by the official rules, and an official results file taken as it is."""

import contextlib
import hashlib
import json
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_towers as tiny

from madi import images, records, shards
from madi.config import JudgeSlice, ScoreSlice
from madi.errors import MadiError
from madi.samples import Sample
from madi.score import classes, geneval_by, objects, shard
from madi.score.geneval import Detection

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    from madi.score.clip import Clip

    return Clip(tiny.clip_folder(tmp_path_factory.mktemp("clip") / "clip"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model of the real class, which knows three things."""
    from transformers import (
        Mask2FormerConfig,
        Mask2FormerForUniversalSegmentation,
        Mask2FormerImageProcessor,
        SwinConfig,
    )

    torch.manual_seed(0)
    stages = ["stage1", "stage2", "stage3", "stage4"]
    swin = SwinConfig(image_size=64, embed_dim=16, depths=[1] * 4, num_heads=[1, 2, 2, 4], window_size=4)
    swin.out_features = stages
    widths = {"feature_size": 32, "mask_feature_size": 32, "hidden_dim": 16, "encoder_feedforward_dim": 16}
    depths = {"encoder_layers": 1, "decoder_layers": 2, "num_attention_heads": 2, "num_queries": 5}
    config = Mask2FormerConfig(backbone_config=swin, dim_feedforward=16, **widths, **depths)
    config.id2label = {0: "dog", 1: "mouse", 2: "cup"}
    config.label2id = {name: number for number, name in config.id2label.items()}
    made = tmp_path_factory.mktemp("m2f")
    Mask2FormerForUniversalSegmentation(config).save_pretrained(made)
    Mask2FormerImageProcessor(size={"height": 384, "width": 384}).save_pretrained(made)  # as the hub's file asks
    return made


def image():
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_a_detector_of_the_real_class_gives_boxes_colours_and_sureness(folder, clip, monkeypatch):
    monkeypatch.setattr(objects, "SHORT", 96)  # quicker
    detector = objects.Mask2Former(folder, clip)
    assert detector.objects(image()) == {}  # random weights are sure of nothing
    monkeypatch.setattr(objects, "CONFIDENCE", 0.0)
    found = detector.objects(image(), {"computer mouse"})
    assert set(found) <= {"dog", "computer mouse", "cup"} and found
    for name, one in ((name, one) for name, some in found.items() for one in some):
        left, top, right, bottom = one.box
        assert 0 <= left < right <= 70 and 0 <= top < bottom <= 50 and 0 < one.confidence < 1
        assert one.colour in (objects.COLOURS if name == "computer mouse" else [""])  # of no other is it asked
    assert detector.name.startswith("mask2former@") and f"short=96 long=1333 colours={clip.name}" in detector.name
    again = detector.objects(image(), {"computer mouse"})
    assert again == found


# By mmcv's rescale_size((w, h), (1333, 800)).
@pytest.mark.parametrize(
    "size, seen",
    [
        ((512, 512), (800, 800)),
        ((1024, 1024), (800, 800)),
        ((427, 640), (800, 1199)),
        ((100, 400), (333, 1333)),
        ((1360, 768), (1333, 753)),
    ],
)
def test_the_detector_sees_a_picture_as_large_as_the_official_one_does(size, seen, folder, monkeypatch):
    """And its masks are the picture's size before they are decided: an edge stays where it is, to a pixel."""
    detector = objects.Mask2Former(folder)
    edge = 0.3117  # of the width: between cells of the coarse mask

    def network(pixel_values):
        height, width = pixel_values.shape[-2:]
        assert (height, width) == tuple(-(-side // 32) * 32 for side in seen)
        across = (torch.arange(width // 4) + 0.5) * 4 / seen[1]
        logits = 40 * (edge - across).expand(1, 1, height // 4, width // 4)
        return SimpleNamespace(class_queries_logits=torch.tensor([[[0.0, 9.0, 0, 0]]]), masks_queries_logits=logits)

    monkeypatch.setattr(detector, "model", network)
    [found] = detector.objects(np.zeros((*size, 3), np.uint8))["computer mouse"]
    assert found.box[:2] == (0, 0) and found.box[3] == size[0] and abs(found.box[2] - edge * size[1]) <= 1
    assert 0.8 < found.confidence < 1  # the class's probability times the mean one of its pixels


# Names that hub detectors give COCO's classes where GenEval's are others: COCO's own, and those of the older list.
COCO = {"computer mouse": "mouse", "tv remote": "remote", "computer keyboard": "keyboard"}
OLDER = COCO | {"motorcycle": "motorbike", "airplane": "aeroplane", "couch": "sofa", "potted plant": "pottedplant"}
OLDER |= {"dining table": "diningtable", "tv": "tvmonitor"}


@pytest.mark.parametrize("naming", [{}, COCO, OLDER])
def test_all_80_classes_are_known_under_either_naming(naming, tmp_path):
    # The hash is of the official object_names.txt without its last line's end.
    assert hashlib.sha256("\n".join(classes.NAMES).encode()).hexdigest()[:16] == "8aad18a0fdff92ac"
    labels = {number: naming.get(name, name) for number, name in enumerate(classes.NAMES)}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels}))
    assert classes.labels(tmp_path) == dict(enumerate(classes.NAMES))
    assert classes.unknown(classes.NAMES, classes.labels(tmp_path).values()) == []


def test_a_class_that_the_detector_lacks_stops_the_run_before_any_edit_is_scored(tmp_path, folder):
    """Told from the detector's config alone: its weights need not be read, and nothing is written."""
    (tmp_path / "m2f").mkdir()
    shutil.copy(folder / "config.json", tmp_path / "m2f")
    rows = [rule_row(n, include=[{"class": name, "count": 1}]) for n, name in enumerate(("dog", "bear"))]
    shards.write(tmp_path / "samples.parquet", rows, records.SAMPLE)
    edits = [edit_row(row["sample_id"], image()) for row in rows]
    shards.write(tmp_path / "edits.parquet", edits, records.EDIT)
    shards.write(tmp_path / "answers.parquet", [], records.ANSWER)
    judge = JudgeSlice(job="e", judge="oracle", protocols={}, rollouts=1)
    geneval = {"detector": "mask2former", "model": str(tmp_path / "m2f")}
    models = {"clip": None, "dino": None, "geneval": geneval}
    job = ScoreSlice.model_validate({"job": "e", "name": "t", "threads": 1, "judge": judge, "batch": 4} | models)
    files = {"geneval": tmp_path / "samples.parquet"}
    with pytest.raises(MadiError, match=r"samples\.parquet row 1 column spec: the detector in .* knows no bear"):
        shard.run(job, tmp_path / "edits.parquet", files, {}, tmp_path / "answers.parquet", tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_colours_are_missing_where_no_clip_tells_them():
    rule = geneval_by.Detector(Fixed(), colours=False)
    plain = rule.decide(sample(include=[{"class": "dog", "count": 1}]), {}, image())
    assert plain.value == 1
    red = rule.decide(sample(include=[{"class": "dog", "count": 1, "color": "red"}]), {}, image())
    assert red.status == "missing" and "--colours" in red.reason


@pytest.mark.parametrize(("clip", "tells"), [("tiny", True), ("assets/tiny/clip", False)])
def test_the_small_worlds_clip_tells_no_colours_of_photographs_unasked(clip, tells, tmp_path, folder):
    """Another CLIP of the job does; and the small one too where it is named for colours."""
    small = clip if clip != "tiny" else str(tiny.clip_folder(tmp_path / "clip"))
    judge = JudgeSlice(job="e", judge="oracle", protocols={}, rollouts=1)
    common = {"job": "e", "name": "t", "threads": 1, "judge": judge, "batch": 4, "clip": small, "dino": None}
    prompt = sample(include=[{"class": "dog", "count": 1, "color": "red"}])
    tower = SimpleNamespace(tower=objects_clip(small))
    for colours, known in ((None, tells), (small, True)):
        named = {"geneval": {"detector": "mask2former", "model": str(folder), "colours": colours}}
        rule = geneval_by.of(ScoreSlice.model_validate(common | named), tower, [prompt]).rule
        assert rule.colours == known and ("colours=clip@" in rule.name) == known


def objects_clip(path):
    from madi.score.clip import Clip

    return Clip(path)


@pytest.mark.parametrize("tool", ["clip", "detector"])
def test_a_folder_runs_no_code_of_its_own(tool, tmp_path, folder, monkeypatch):
    """auto_map, and a config that asks for its code to be trusted: the code is not run, and nobody is asked."""
    from madi.score.clip import Clip

    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked whether to run code"))
    made = tiny.clip_folder(tmp_path / "m") if tool == "clip" else shutil.copytree(folder, tmp_path / "m")
    (made / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n")
    names = ["tokenizer_config.json"] if tool == "clip" else ["config.json", "preprocessor_config.json"]
    kinds = ("AutoTokenizer", "AutoConfig", "AutoModel", "AutoImageProcessor", "Mask2FormerForUniversalSegmentation")
    for name in names:
        told = json.loads((made / name).read_text())
        told["auto_map"] = {kind: ["evil.Evil", None] if kind == "AutoTokenizer" else "evil.Evil" for kind in kinds}
        told.pop("tokenizer_class", None), told.pop("image_processor_type", None)
        (made / name).write_text(json.dumps(told))
    if tool == "clip":
        path = made / "open_clip_config.json"
        told = json.loads(path.read_text())
        told["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
        path.write_text(json.dumps(told))
    with contextlib.suppress(MadiError):
        Clip(made) if tool == "clip" else objects.Mask2Former(made)
    assert not (tmp_path / "ran").exists()


def test_colours_are_asked_of_the_object_alone():
    picture, mask = np.zeros((10, 10, 3), np.uint8), np.zeros((10, 10), bool)
    picture[2:5, 3:7], mask[2:5, 3:7] = (255, 0, 0), True
    mask[3, 4] = False
    cut = objects.cut_out(picture, mask)
    assert objects.box_of(mask) == (3, 2, 7, 5) and cut.shape == (3, 4, 3)
    assert (cut[0] == (255, 0, 0)).all() and (cut[1, 1] == 0x99).all()

    class Clip:  # embeds a sentence by the colour it names, a picture by its mean
        words = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1)}

        def texts(self, sentences):
            return np.array([next((v for w, v in self.words.items() if w in s), (0.1,) * 3) for s in sentences], float)

        def prepare(self, picture):
            return picture

        def images(self, prepared):
            return np.array([p.reshape(-1, 3).mean(0) / 255 for p in prepared])

    assert objects.by_clip(Clip())(picture, mask, "dog") == "red"


def rule_row(number=0, **rule):
    """A text-to-image sample as published."""
    row = {"sample_id": f"geneval-{number}", "set": "geneval", "split": "bench", "group_id": f"g{number}"}
    row |= {"sources": [], "target": None, "instruction": "a photo", "phash": "", "sha256": ""}
    row |= {"origin": {"file": "f", "row": number, "revision": ""}}
    return row | {"spec": json.dumps({"geneval": {"tag": "counting", **rule}})}


def edit_row(name, made):
    row = {"editor": "e", "benchmark": "geneval", "sample_id": name, "pause": 0, "seed": 0, "status": "ok"}
    row |= {"prompt": "", "tokens": 0, "rope": "none", "sampler_steps": 0, "guidance_text": 0.0, "config_sha": "0"}
    row |= {"guidance_image": 0.0, "height": made.shape[0], "width": made.shape[1], "image": images.picture(made)}
    return row | {"edit_id": records.edit_id(row)}


def sample(number=0, **rule):
    return Sample(rule_row(number, **rule), "f", number)


class Fixed:
    name, names = "fixed@1", {0: "dog", 1: "cup"}

    def objects(self, image, coloured=()):
        return {"dog": [Detection((0, 0, 5, 5), "red", sure) for sure in (0.95, 0.92, 0.5)]}


def test_a_detectors_objects_are_decided_by_the_official_rule():
    rule = geneval_by.Detector(Fixed())
    two = {"include": [{"class": "dog", "count": 2}], "exclude": [{"class": "dog", "count": 3}]}
    assert rule.decide(sample(**two), {}, image()).value == 1  # the third is not sure enough to be counted
    wrong = rule.decide(sample(include=[{"class": "dog", "count": 3}]), {}, image())
    assert (wrong.value, wrong.reason) == (0, "expected dog>=3, found 2")


def test_official_results_are_taken_by_prompt_and_seed(tmp_path):
    path = tmp_path / "results.jsonl"
    lines = [
        {"filename": f"out/0000{n}/samples/000{s}.png", "correct": n == s, "reason": "r"}
        for n in (0, 1)
        for s in (0, 1)
    ]
    path.write_text("\n".join(map(json.dumps, lines[::-1])) + "\n")
    rule = geneval_by.Results(path)
    assert [rule.decide(sample(n), {"seed": s}, image()).value for n in (0, 1) for s in (0, 1)] == [1, 0, 0, 1]
    lost = rule.decide(sample(7), {"seed": 0}, image())
    assert (lost.status, lost.reason) == ("missing", "no line of 00007/samples/0000.png")
    for line in ("{}", "no", '{"filename": "a.png", "correct": true}', "[]"):
        path.write_text(json.dumps(lines[0]) + "\n" + line + "\n")
        with pytest.raises(MadiError, match="results.jsonl line 2: no result of an image"):
            geneval_by.Results(path)


@pytest.mark.parametrize("told", ["{}", '{"id2label": []}', '{"id2label": {"x": "dog"}}', '{"id2label": {"0": 1}}'])
def test_a_detector_without_class_names_is_one_line(told, tmp_path):
    (tmp_path / "config.json").write_text(told)
    with pytest.raises(MadiError, match="config.json: no class names; expected a detector's config.json"):
        classes.labels(tmp_path)


def test_a_folder_without_a_detector_is_one_line(tmp_path, clip):
    with pytest.raises(MadiError, match="no Mask2Former"):
        objects.Mask2Former(tmp_path, clip)
