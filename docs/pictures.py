"""Draws docs/edits.png after `make demo`: of each task the first instruction, its source, and edits of it.

    python docs/pictures.py

Which sample stands for a task is the file's order, not a choice.
"""

import textwrap
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from madi import images, samples, shards
from madi.records import EDIT

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "results/demo"
ROWS = {"source": None, "base": "omnigen", "MAgD + EP": "magd_ep", "one right answer": None}
SIDE, GAP, LEFT, HEAD = 128, 8, 62, 34


def firsts() -> dict[str, samples.Sample]:
    """The first sample of each task of the demo's Emu-Edit, by task."""
    found: dict[str, samples.Sample] = {}
    for sample in samples.load(DEMO / "data/emu_edit/samples.json").values():
        found.setdefault(sample.row["task"], sample)
    return dict(sorted(found.items()))


def edits_of(editor: str, wanted: set[str]) -> dict[str, np.ndarray]:
    """Edits at pause 0 and seed 0, by sample."""
    rows = shards.stream(DEMO / f"edits/{editor}/00000.parquet", EDIT)
    mine = (
        r
        for r in rows
        if r["benchmark"] == "emu_edit" and r["sample_id"] in wanted and (r["pause"], r["seed"]) == (0, 0)
    )
    return {row["sample_id"]: images.decode(row["image"]["bytes"], row["edit_id"]) for row in mine}


def main() -> None:
    shown = list(firsts().values())
    rows = {}
    for title, editor in ROWS.items():
        made = edits_of(editor, {sample.id for sample in shown}) if editor else {}
        first = title == "source"
        rows[title] = [made[s.id] if editor else s.source() if first else s.target() for s in shown]
    font = ImageFont.load_default(11)
    sheet = Image.new("RGB", (LEFT + len(shown) * (SIDE + GAP), HEAD + len(rows) * (SIDE + GAP)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, sample in enumerate(shown):
        words = "\n".join(textwrap.wrap(sample.row["instruction"], 24))
        draw.text((LEFT + column * (SIDE + GAP), 2), words, fill="black", font=font)
    for number, (title, pictures) in enumerate(rows.items()):
        top = HEAD + number * (SIDE + GAP)
        draw.text((4, top + SIDE // 2 - 12), "\n".join(textwrap.wrap(title, 9)), fill="black", font=font)
        for column, picture in enumerate(pictures):
            sheet.paste(Image.fromarray(images.resize(picture, SIDE, SIDE)), (LEFT + column * (SIDE + GAP), top))
    sheet.save(ROOT / "docs/edits.png", optimize=True)


if __name__ == "__main__":
    main()
