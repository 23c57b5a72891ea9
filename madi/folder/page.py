"""The page of a scored folder: the table by task, the edits that did best and worst. All text from data is escaped."""

from __future__ import annotations

from pathlib import Path

import jinja2
import pandas as pd

from madi import images, samples, shards
from madi.records import EDIT, SCORE

THUMB, SHOWN = 192, 8
SORTED_BY = (("clip_dir", "source"), ("dino", "source"), ("geneval_correct", "truth"))


def write(table: pd.DataFrame, out: Path, file: Path, title: str) -> None:
    """Write `index.html` beside the scores in `out`. file: the samples."""
    found = samples.load(file)
    frame = shards.frame(out / "scores.parquet", SCORE)
    galleries = []
    for metric, against in SORTED_BY:
        mine = frame[(frame["metric"] == metric) & (frame["against"] == against) & (frame["status"] == "ok")]
        if not mine.empty:
            ordered = mine.sort_values(["value", "sample_id", "seed"], ascending=[False, True, True])
            galleries.append((f"Highest {metric}", cards(ordered.head(SHOWN), out, found, metric)))
            galleries.append((f"Lowest {metric}", cards(ordered.tail(SHOWN)[::-1], out, found, metric)))
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    page = environment.get_template("folder.html.j2").render(title=title, rows=rows(table), galleries=galleries)
    with shards.atomic(out / "index.html") as partial:
        partial.write_text(page, encoding="utf-8")


def rows(table: pd.DataFrame) -> list[dict]:
    """The table's cells as text."""
    found = []
    for one in table.to_dict("records"):
        known = not pd.isna(one["mean"])
        interval = f"{one['low']:.4f} to {one['high']:.4f}" if not pd.isna(one["low"]) else ""
        found.append(one | {"mean": f"{one['mean']:.4f}" if known else "-", "interval": interval})
    return found


def cards(some: pd.DataFrame, out: Path, found: dict[str, samples.Sample], metric: str) -> list[dict]:
    """Source, edit and words of some scored edits."""
    wanted = {(row["sample_id"], row["seed"]): row["value"] for row in some.to_dict("records")}
    pictures = {
        (row["sample_id"], row["seed"]): row["image"]["bytes"]
        for row in shards.stream(out / "edits.parquet", EDIT, ["sample_id", "seed", "image"])
        if (row["sample_id"], row["seed"]) in wanted
    }
    made = []
    for (key, seed), value in wanted.items():
        sample = found[key]
        shown = [("source", images.thumbnail_uri(sample.source(), THUMB))] if sample.count else []
        shown.append(("edit", images.thumbnail_uri(images.decode(pictures[key, seed], key), THUMB)))
        words = f"{metric} {value:.4f} · {key}" + (f" · seed {seed}" if seed else "")
        made.append({"instruction": sample.row["instruction"], "pictures": shown, "words": words})
    return made
