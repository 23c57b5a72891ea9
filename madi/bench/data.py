"""`madi bench data`: a published set prepared by us and by `datasets`' own map, on the same rows.

Both read 512 px JPEG pairs from Parquet, decode every picture, hash it, see to duplicates, and write the rows that
stay; each with as many processes.
"""

from __future__ import annotations

import contextlib
import io
import os
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from madi import shards
from madi.bench.clock import Row, hold
from madi.config import DataSlice
from madi.data import prepare
from madi.errors import MadiError
from madi.progress import say
from madi.records import SAMPLE

SIDE, REPEATS, GROUP = 512, 3, 100
PICTURE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def measure(rows: int, processes: int) -> list[Row]:
    """Row `prepare`: median seconds of both by turns. Errors: MadiError where they do not keep the same."""
    with TemporaryDirectory() as place:
        folder = Path(place)
        publish(folder / "set" / "data" / "FreeForm-00000-of-00001.parquet", rows)
        times: tuple[list[float], list[float]] = [], []
        for turn in range(REPEATS + 1):
            for which, work in enumerate((ours, theirs)):
                start = time.perf_counter()
                kept = work(folder, processes, turn)
                if turn:
                    times[which].append(time.perf_counter() - start)
                if which == 0:
                    first = kept
                elif kept != first:
                    raise MadiError(f"{len(kept ^ first)} samples differ", "bench", "the same from both")
        row = Row("prepare", "datasets' map", *map(median, times), 0.0, tokens=2 * rows)
        say(f"prepare: {2 * rows / row.ours_s:.0f} images/s on {processes} processes")
    hold([row], 0)
    return [row]


def publish(path: Path, rows: int) -> None:
    """Rows as UltraEdit has them: smooth pictures with noise, which compress as photographs do."""
    path.parent.mkdir(parents=True)
    names = ["source_image", "edited_image"]
    columns = {name: [{"bytes": jpeg(2 * n + k), "path": None} for n in range(rows)] for k, name in enumerate(names)}
    schema = pa.schema([("idx", pa.int64()), ("edit_prompt", pa.string()), *((name, PICTURE) for name in names)])
    words = {"idx": list(range(rows)), "edit_prompt": [f"make it number {n}" for n in range(rows)]}
    pq.write_table(pa.table(words | columns, schema), path, row_group_size=GROUP)


def jpeg(seed: int) -> bytes:
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (12, 12, 3), dtype=np.uint8))
    smooth = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)).astype(int)
    pixels = (smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=90)
    return file.getvalue()


def ours(folder: Path, processes: int, turn: int) -> set[tuple[str, str]]:
    """(id, perceptual hash) of what `madi data prepare` keeps."""
    sources = {"rows": {"reader": "ultraedit", "files": str(folder / "set")}}
    source = {"reader": "published", "sources": sources}
    job = DataSlice(set="train", name="bench", seed=0, size_px=SIDE, threads=processes, source=source)
    out = folder / f"ours-{turn}.json"
    with quiet():
        prepare.run(job, out, {}, None, {"rows": folder / "set"})
    frame = shards.frame(out, SAMPLE, ["sample_id", "phash"])
    return set(zip(frame["sample_id"], frame["phash"]))


def theirs(folder: Path, processes: int, turn: int) -> set[tuple[str, str]]:
    """The same by `datasets`: a map with the same checks and hashes, duplicates dropped, written as Parquet."""
    import datasets

    datasets.disable_progress_bars()
    path = next((folder / "set").rglob("*.parquet"))
    cache = folder / f"cache-{turn}"
    rows = datasets.Dataset.from_parquet(str(path), cache_dir=str(cache))
    made = rows.map(one_row, num_proc=processes, remove_columns=rows.column_names)
    seen: set[str] = set()
    kept = made.filter(lambda content: not (content in seen or seen.add(content)), input_columns="content")
    out = folder / f"theirs-{turn}.parquet"
    kept.to_parquet(str(out))
    table = pq.read_table(out, columns=["sample_id", "phash"]).to_pylist()
    return {(row["sample_id"], row["phash"]) for row in table}


def one_row(row: dict) -> dict:
    """A row as a Sample, its pictures decoded and hashed, by our own functions: what is compared is the plumbing."""
    from madi.data.readers.published import sample

    pictures = [{"bytes": row[name]["bytes"], "path": None} for name in ("source_image", "edited_image")]
    made = sample(f"ultraedit-FreeForm-{row['idx']}", ("f", 0), row["edit_prompt"], pictures[:1], pictures[1])
    found = prepare.looked_at(("rows", made))
    more = {"phash": found[0].bits.tobytes().hex(), "content": made["sha256"] + made["instruction"]}
    return {name: value for name, value in made.items() if value is not None} | more


@contextlib.contextmanager
def quiet():
    """Without progress lines: they are no part of what is measured."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield
