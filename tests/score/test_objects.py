"""GenEval on photographs: the detector's objects by the official rules, and an official results file taken as it is."""

import json

import numpy as np
import pytest
import tiny_towers as tiny

from madi.errors import MadiError
from madi.samples import Sample
from madi.score import geneval_by, objects
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
    Mask2FormerImageProcessor(size={"height": 64, "width": 64}).save_pretrained(made)
    return made


def image():
    return np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)


def test_a_detector_of_the_real_class_gives_boxes_colours_and_sureness(folder, clip, monkeypatch):
    detector = objects.Mask2Former(folder, clip)
    assert detector.objects(image()) == {}  # random weights are sure of nothing
    monkeypatch.setattr(objects, "CONFIDENCE", 0.0)
    found = detector.objects(image())
    assert set(found) <= {"dog", "computer mouse", "cup"} and found
    for one in (one for some in found.values() for one in some):
        left, top, right, bottom = one.box
        assert 0 <= left < right <= 70 and 0 <= top < bottom <= 50 and one.colour in objects.COLOURS
        assert 0 < one.confidence < 1
    assert detector.name.startswith("mask2former@")
    again = detector.objects(image())
    assert again == found


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


def sample(number=0, **rule):
    row = {"sample_id": f"geneval-{number}", "sources": [], "instruction": "a photo", "origin": {"row": number}}
    return Sample(row | {"spec": json.dumps({"geneval": {"tag": "counting", **rule}})}, "f", number)


class Fixed:
    name, names = "fixed@1", {0: "dog", 1: "cup"}

    def objects(self, image):
        return {"dog": [Detection((0, 0, 5, 5), "red", sure) for sure in (0.95, 0.92, 0.5)]}


def test_a_detectors_objects_are_decided_by_the_official_rule():
    rule = geneval_by.Detector(Fixed())
    two = {"include": [{"class": "dog", "count": 2}], "exclude": [{"class": "dog", "count": 3}]}
    assert rule.decide(sample(**two), {}, image()).value == 1  # the third is not sure enough to be counted
    wrong = rule.decide(sample(include=[{"class": "dog", "count": 3}]), {}, image())
    assert (wrong.value, wrong.reason) == (0, "expected dog>=3, found 2")
    unknown = rule.decide(sample(include=[{"class": "bear", "count": 1}]), {}, image())
    assert (unknown.status, unknown.reason) == ("missing", "the detector knows no bear")


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


def test_a_folder_without_a_detector_is_one_line(tmp_path, clip):
    with pytest.raises(MadiError, match="no Mask2Former"):
        objects.Mask2Former(tmp_path, clip)
