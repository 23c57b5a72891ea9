"""Agreement between labels made by eye and the parser counts each difference once."""

from pathlib import Path

from label import agreement, load, pack, sheets
from PIL import Image

from madi.images import encode_png
from madi.scenes.parse import read
from madi.scenes.render import render
from madi.scenes.world import Scene, Thing

LABELLED = Path(__file__).parent / "labelled"
SCENE = Scene("sea", 1, "comic", "day", (Thing(0, "heart", "pink", "large", "T"), Thing(5, "moon", "white", "small")))
TRUE = {
    "background": "sea",
    "style": "comic",
    "light": "day",
    "things": [[0, "heart", "pink", "large", "T"], [5, "moon", "white", "small", None]],
    "unclear": [],
}


def wrong(label: dict) -> list[str]:
    return [attribute for attribute, same in agreement(label, read(render(SCENE))) if not same]


def test_a_true_label_agrees_throughout():
    assert wrong(TRUE) == [] and len(agreement(TRUE, read(render(SCENE)))) == 3 + 2 * 5 + 7


def test_each_difference_is_found_once():
    assert wrong(TRUE | {"light": "fog"}) == ["light"] and wrong(TRUE | {"light": None}) == []
    assert wrong(TRUE | {"things": TRUE["things"][:1]}) == ["empty"]
    assert wrong(TRUE | {"things": [[0, "heart", "red", "large", "X"], TRUE["things"][1]]}) == ["colour", "letter"]
    assert wrong(TRUE | {"things": [*TRUE["things"], [8, "star", None, None, None]]}) == ["thing"]
    assert wrong(TRUE | {"things": TRUE["things"][:1], "unclear": [5]}) == []


FLOORS = {"background": 0.92, "style": 0.85, "light": 0.92, "thing": 0.92, "shape": 0.9, "colour": 0.83, "size": 0.9}


def test_the_parser_agrees_with_labels_made_by_eye():
    tally: dict[str, list[bool]] = {}
    for _, image, label in load(LABELLED):
        for attribute, same in agreement(label, read(image)):
            tally.setdefault(attribute, []).append(same)
    told = [(name, same) for name, sames in tally.items() for same in sames]
    assert len(load(LABELLED)) >= 100
    assert sum(same for _, same in told) / len(told) >= 0.95  # measured 0.97
    seen = [same for name, same in told if name != "empty"]
    assert sum(seen) / len(seen) >= 0.94  # measured 0.956: empty places carry nothing here
    for name, floor in FLOORS.items():
        assert sum(tally[name]) / len(tally[name]) >= floor, name


def test_outputs_are_packed_and_shown_on_sheets(tmp_path):
    (tmp_path / "png").mkdir()
    (tmp_path / "png" / "one.png").write_bytes(encode_png(render(SCENE)))
    (tmp_path / "labels.json").write_text('{"one": {"background": "sea"}}')
    pack(tmp_path / "png", tmp_path / "labels.json", tmp_path / "out")
    ((stem, image, label),) = load(tmp_path / "out")
    assert stem == "one" and label == {"background": "sea"}
    assert image.shape == (128, 128, 3) and abs(image.astype(int) - render(SCENE)).mean() < 3
    sheets(tmp_path / "png", tmp_path / "sheets")
    assert Image.open(tmp_path / "sheets" / "sheet_00.png").size[0] > 1000
