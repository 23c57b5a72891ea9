"""The 80 classes of GenEval's prompts, and the names that detectors give them. Imports no model library.

GenEval's `object_names.txt` lists them in the order of COCO's classes. Detectors on the hub use COCO's names or those
of an older list (the label file that mmdet's ports share: motorbike, aeroplane, sofa, ...); both are known.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from madi.errors import MadiError
from madi.shards import read_json

NAMES = (
    "person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light",
    "fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow",
    "elephant", "bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee",
    "skis", "snowboard", "sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard",
    "tennis racket", "bottle", "wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple",
    "sandwich", "orange", "broccoli", "carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch",
    "potted plant", "bed", "dining table", "toilet", "tv", "laptop", "computer mouse", "tv remote",
    "computer keyboard", "cell phone", "microwave", "oven", "toaster", "sink", "refrigerator", "book", "clock",
    "vase", "scissors", "teddy bear", "hair drier", "toothbrush",
)  # fmt: skip
OTHER_NAMES = {  # as `plain` writes them
    "motorbike": "motorcycle",
    "aeroplane": "airplane",
    "sofa": "couch",
    "tvmonitor": "tv",
    "television": "tv",
    "mouse": "computer mouse",
    "remote": "tv remote",
    "keyboard": "computer keyboard",
    "hairdryer": "hair drier",
    "doughnut": "donut",
    "mobilephone": "cell phone",
}


def plain(name: str) -> str:
    """A name without capitals, spaces, hyphens and underscores: `Dining_Table` and `diningtable` are one."""
    return "".join(letter for letter in name.lower() if letter.isalnum())


KNOWN = {plain(name): name for name in NAMES} | OTHER_NAMES


def named(label: str) -> str:
    """GenEval's name of a detector's class; the label itself for a class that GenEval does not have."""
    return KNOWN.get(plain(label), label)


def labels(folder: Path | str) -> dict[int, str]:
    """Class names of a detector's folder (`id2label` in its config.json), by number, in GenEval's words.

    Errors: MadiError for a folder without them."""
    path = Path(folder, "config.json")
    found = read_json(path).get("id2label") if path.is_file() else None
    if not isinstance(found, dict) or not all(n.isdecimal() and isinstance(name, str) for n, name in found.items()):
        raise MadiError("no class names", path, "a detector's config.json with id2label")
    return {int(number): named(label) for number, label in found.items()}


def unknown(asked: Iterable[str], known: Iterable[str]) -> list[str]:
    """The classes asked for that a detector does not have, sorted."""
    return sorted(set(asked) - set(known))


def of_rule(rule: dict) -> set[str]:
    """The classes that a GenEval rule asks about."""
    return {clause["class"] for part in ("include", "exclude") for clause in rule.get(part, [])}
