"""Labels model outputs by eye, to hold the parser to them: sheets without readings first, readings after.

    python tests/scenes/label.py sheets PNG_FOLDER OUT_FOLDER     numbered contact sheets, nothing given away
    python tests/scenes/label.py pack PNG_FOLDER LABELS.json OUT_FOLDER    outputs.webp and labels.json to be committed
    python tests/scenes/label.py compare OUT_FOLDER               each label beside the parser's reading, and agreement

LABELS.json maps a PNG's stem to what a person saw: {"background", "style", "light"}, a word each or null where it
cannot be told; "things": [[cell, shape, colour, size, letter], ...], a null for a word that cannot be told, null for no
letter and "?" for one that cannot be told; and "unclear": cells with something unrecognisable, where the parser may
answer anything.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from madi.scenes.parse import Reading, read

PARTS = ("shape", "colour", "size", "letter")
ENLARGED, COLUMNS, ROWS = 256, 5, 3
ACROSS = 12  # pictures a row of the kept mosaic


def pictures(folder: Path) -> dict[str, np.ndarray]:
    """PNGs of a folder by stem, in order."""
    return {path.stem: np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))}


def sheets(folder: Path, out: Path) -> None:
    """Write contact sheets of 15 enlarged pictures with their stems, and a light grid of the cells."""
    out.mkdir(parents=True, exist_ok=True)
    found, page = list(pictures(folder).items()), COLUMNS * ROWS
    for first in range(0, len(found), page):
        sheet = Image.new("RGB", (COLUMNS * (ENLARGED + 8), ROWS * (ENLARGED + 20)), "white")
        for place, (stem, image) in enumerate(found[first : first + page]):
            x, y = place % COLUMNS * (ENLARGED + 8), place // COLUMNS * (ENLARGED + 20)
            sheet.paste(Image.fromarray(image).resize((ENLARGED, ENLARGED), Image.LANCZOS), (x, y + 14))
            ImageDraw.Draw(sheet).text((x + 2, y), stem, fill="black")
        sheet.save(out / f"sheet_{first // page:02d}.png")


def pack(folder: Path, labels: Path, out: Path) -> None:
    """Keep the labelled pictures, as one picture in the order of the labels, and their labels where the tests read
    them."""
    out.mkdir(parents=True, exist_ok=True)
    known, found = json.loads(labels.read_text()), pictures(folder)
    side = max(found[stem].shape[0] for stem in known)
    mosaic = Image.new("RGB", (ACROSS * side, -(-len(known) // ACROSS) * side))
    for place, stem in enumerate(sorted(known)):
        mosaic.paste(Image.fromarray(found[stem]), (place % ACROSS * side, place // ACROSS * side))
    mosaic.save(out / "outputs.webp", quality=96, method=6)
    (out / "labels.json").write_text(json.dumps(known, sort_keys=True).replace("}, ", "},\n") + "\n")


def load(folder: Path) -> list[tuple[str, np.ndarray, dict]]:
    """(stem, picture, label) of each labelled output."""
    labels = json.loads((folder / "labels.json").read_text())
    mosaic = np.asarray(Image.open(folder / "outputs.webp").convert("RGB"))
    side = mosaic.shape[1] // ACROSS
    corners = [(place // ACROSS * side, place % ACROSS * side) for place in range(len(labels))]
    images = [mosaic[top : top + side, left : left + side] for top, left in corners]
    return [(stem, image, labels[stem]) for stem, image in zip(sorted(labels), images)]


def agreement(label: dict, reading: Reading) -> list[tuple[str, bool]]:
    """(attribute, whether the reading agrees) for all that the label tells; a thing missed or invented disagrees once.

    Where the label leaves the whole look open the parser may answer unreadable; elsewhere that disagrees throughout.
    """
    looks = [word for word in ("background", "style", "light") if label[word] is not None]
    if reading.scene is None:
        return [("unreadable", not looks)] if not looks else [(word, False) for word in looks]
    told = [(word, getattr(reading.scene, word) == label[word]) for word in looks]
    for cell, *words in label["things"]:
        thing = reading.scene.at(cell)
        known = [(part, word) for part, word in zip(PARTS, words) if word != "?" and (word or part == "letter")]
        told.append(("thing", thing is not None))
        if thing is not None:
            told += [(part, getattr(thing, part) == word) for part, word in known]
    spoken = {cell for cell, *_ in label["things"]} | set(label["unclear"])
    empty = [cell for cell in range(9) if cell not in spoken]
    return told + [("empty", reading.scene.at(cell) is None and cell not in reading.unclear) for cell in empty]


def compare(folder: Path) -> None:
    """Print what differs, and agreement by attribute."""
    tally: dict[str, list[bool]] = {}
    for stem, image, label in load(folder):
        reading = read(image)
        told = agreement(label, reading)
        for attribute, same in told:
            tally.setdefault(attribute, []).append(same)
        if not all(same for _, same in told):
            print(stem, [attribute for attribute, same in told if not same], label, reading.scene, reading.unclear)
    for attribute, sames in tally.items():
        print(f"{attribute:12} {sum(sames)}/{len(sames)} = {np.mean(sames):.3f}")
    print(f"all          {np.mean([same for sames in tally.values() for same in sames]):.3f}")


if __name__ == "__main__":
    {"sheets": sheets, "pack": pack, "compare": compare}[sys.argv[1]](*map(Path, sys.argv[2:]))
