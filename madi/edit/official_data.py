"""What a benchmark's official script reads beside the edits, written for the samples that were exported alone.

complex-edit  <complexity>/UCSC-VLAA/Complex-Edit/data/<split>-00000-of-00001.parquet: run `eval.py` in the folder
              <complexity>, and `load_dataset` takes the data set from there instead of the hub's whole split
magicbrush    images/<session>/<session>-input.png, -output<turn>.png, -mask<turn>.png: `--gt_path` of `image_eval.py`;
              local_descriptions.json: its `--caption_path`; global_descriptions.json, which it does not read
"""

from __future__ import annotations

import io
import json
from collections import defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from madi import images
from madi.edit.layouts import number_of, session_of
from madi.errors import MadiError
from madi.records import IMAGE, feature
from madi.samples import Sample

LEVELS = 8  # compounds of a Complex-Edit row
COMPOUND = pa.struct([("reasoning", pa.string()), ("compound_instruction", pa.string())])
ROW = {"image": IMAGE, "edit": pa.struct([("compound", pa.list_(pa.field("item", COMPOUND)))])}


def check(layout: str) -> None:
    """Errors: MadiError for a layout whose official script reads nothing that is not in the export."""
    if layout not in WRITERS:
        raise MadiError(f"{layout} needs none", "--data", f"the layout {' or '.join(WRITERS)}")


def write(layout: str, places: dict[str, Sample], known: dict[str, Sample], folder: Path) -> None:
    """Write the data beside an export. places: exported samples by the paths of their images; known: all samples."""
    WRITERS[layout](places, known, folder)


def complex_edit(places: dict[str, Sample], known: dict[str, Sample], folder: Path) -> None:
    """A data set a complexity: its rows in the order of the images' names, as `eval.py` pairs them."""
    levels: dict[int, list[Sample]] = defaultdict(list)
    for _, sample in sorted(places.items()):
        levels[sample.row["complexity"]].append(sample)
    told: dict[int, dict[int, str]] = defaultdict(dict)
    for sample in known.values():
        if sample.row["complexity"]:
            told[number_of(sample)][sample.row["complexity"]] = sample.row["instruction"]
    features = {name: feature(kind) for name, kind in ROW.items()}
    schema = pa.schema(list(ROW.items()), metadata={"huggingface": json.dumps({"info": {"features": features}})})
    for level, some in levels.items():
        split = some[0].spec().get("split", "test_real")
        path = folder / str(level) / "UCSC-VLAA" / "Complex-Edit" / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True)
        with pq.ParquetWriter(path, schema) as file:
            for sample in some:  # a row at a time: pictures are large
                compound = [
                    {"reasoning": "", "compound_instruction": told[number_of(sample)].get(one, "")}
                    for one in range(1, LEVELS + 1)
                ]
                row = {"image": sample.row["sources"][0], "edit": {"compound": compound}}
                file.write_table(pa.Table.from_pylist([row], schema))


def magicbrush(places: dict[str, Sample], known: dict[str, Sample], folder: Path) -> None:
    """The sessions that were exported, with all their turns; captions where the samples have them."""
    sessions = {session_of(sample) for sample in places.values()}
    whole: dict[str, dict[str, str]] = defaultdict(dict)
    local: dict[str, dict[str, str]] = defaultdict(dict)
    for sample in known.values():
        if not sample.row["turn"] or (session := session_of(sample)) not in sessions:
            continue
        row, turn = sample.row, sample.row["turn"]
        where, output = folder / "images" / session, f"{session}-output{turn}.png"
        before = f"{session}-input.png" if turn == 1 else f"{session}-output{turn - 1}.png"
        where.mkdir(parents=True, exist_ok=True)
        shown = {before: row["sources"][0], output: row["target"], f"{session}-mask{turn}.png": row["region"]}
        for name, picture in shown.items():
            if picture and not (where / name).exists():
                (where / name).write_bytes(as_png(picture["bytes"], f"{sample.id} {name}"))
        for captions, name, column in (
            (whole, before, "source_caption"),
            (whole, output, "target_caption"),
            (local, output, "target_caption_local"),
        ):
            if row[column]:
                captions[session][name] = row[column]
    for name, captions in (("global_descriptions.json", whole), ("local_descriptions.json", local)):
        (folder / name).write_text(json.dumps(captions, sort_keys=True), encoding="utf-8")


def as_png(data: bytes, where: str) -> bytes:
    """The bytes of a PNG as they are; another picture as PNG. Errors: MadiError for what is no picture."""
    try:
        with Image.open(io.BytesIO(data), formats=images.FORMATS) as image:
            if image.format == "PNG":
                return data
    except images.DAMAGED:
        pass  # `decode` says what is wrong
    return images.encode_png(images.decode(data, where))


WRITERS = {"complex-edit": complex_edit, "magicbrush": magicbrush}
