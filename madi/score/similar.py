"""The embedding models of a score job: pictures and captions are queued, and embedded in batches."""

from __future__ import annotations

from typing import Literal

import numpy as np

from madi.samples import Sample
from madi.score.embed import Once
from madi.score.pictures import Picture


class Embedder:
    """A `madi.score.clip.Clip` or a `madi.score.dino.Dino` over all edits of a job.

    suffix: of the metrics' names, for models beside the job's first two ("_l14").
    """

    lacks = None

    def __init__(self, kind: Literal["clip", "dino"], tower, batch: int, suffix: str = ""):
        self.kind, self.tower, self.suffix, self.name = kind, tower, suffix, f"{kind}{suffix}"
        self.pictures = Once(tower.images, batch)
        self.texts = Once(tower.texts, batch) if kind == "clip" else None

    def backend(self, metric) -> str:
        """What a metric's numbers are made with."""
        return self.tower.name

    def wants(self, metric, edit: dict, sample: Sample) -> bool:
        return True

    def sees(self, sample: Sample) -> bool:
        """Whether it is shown edits of a sample: a ViT only compares pictures, and text to image has no source."""
        return self.kind == "clip" or sample.count > 0

    def see(self, picture: Picture) -> str:
        """Queues a picture; returns its key."""
        return self.pictures.add(picture.key, lambda: picture.prepared[self.name])

    def read(self, caption: str) -> str:
        """Queues a caption; returns its key."""
        return self.texts.add(caption, lambda: caption)

    def picture(self, key: str) -> np.ndarray:
        """The embedding of a queued picture, float32 [D], length 1."""
        return self.pictures[key]

    def text(self, caption: str) -> np.ndarray:
        """The embedding of a queued caption, float32 [D], length 1."""
        return self.texts[caption]


def captions(sample: Sample) -> dict[str, str]:
    """The captions that a sample has. A text-to-image sample's prompt is what its picture is to show."""
    row = sample.row
    if not sample.count:
        return {"global_caption": row["instruction"]}
    named = {
        "source_caption": row["source_caption"],
        "global_caption": row["target_caption"],
        "local_caption": row["target_caption_local"],
    }
    return {name: caption for name, caption in named.items() if caption and caption.strip()}
