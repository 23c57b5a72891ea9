"""CLIP-I, CLIP-T, CLIP-Dir and DINO of many edits: asked for one by one, embedded in batches, answered at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from madi import images
from madi.samples import Sample
from madi.score import outcome
from madi.score.embed import Once, cosine, direction
from madi.score.outcome import Outcome

Name = tuple[str, str]  # metric, against


@dataclass(frozen=True)
class Asked:
    """Keys of the pictures of one edit: E, S and G; S and G are None where there is none."""

    edit: str
    source: str | None
    target: str | None


class Similar:
    """Embedding models, a `madi.score.clip.Clip` or a `madi.score.dino.Dino` or both, over all edits of a job.

    name: of models beside the job's first two; their numbers bear it.
    """

    def __init__(self, clip, dino, batch: int, name: str = ""):
        self.clip, self.dino, self.suffix = clip, dino, f"_{name}" if name else ""
        if clip is not None:
            self.clip_images, self.clip_texts = Once(clip.images, batch), Once(clip.texts, batch)
        if dino is not None:
            self.dino_images = Once(dino.images, batch)

    def wanted(self, sample: Sample) -> list[Name]:
        """(metric, against) of all numbers that an edit of this sample gets, in their order."""
        clip = [("clip_t", against) for against in against_text(sample)]
        held = ["source"] + ["target"] * (sample.row["target"] is not None) if sample.count else []
        if sample.count:
            clip = [("clip_i", against) for against in held] + clip + [("clip_dir", "source")]
        names = clip * (self.clip is not None) + [("dino", against) for against in held] * (self.dino is not None)
        return [(f"{metric}{self.suffix}", against) for metric, against in names]

    def backend(self, metric: str) -> str:
        """What a metric's numbers were made with."""
        return (self.clip if metric.startswith("clip") else self.dino).name

    def ask(self, sample: Sample, edit: np.ndarray, source: np.ndarray | None, target: np.ndarray | None) -> Asked:
        """Puts the pictures and captions of an edit in line; all uint8 [H,W,3]."""
        for caption in captions(sample).values() if self.clip is not None else ():
            self.clip_texts.add(caption, lambda caption=caption: caption)
        pictures = [None if image is None else self._image(image, sample.count > 0) for image in (edit, source, target)]
        return Asked(*pictures)

    def _image(self, image: np.ndarray, faithful: bool) -> str:
        key = f"{image.shape} {images.sha256(image.tobytes())}"
        if self.clip is not None:
            self.clip_images.add(key, lambda: self.clip.prepare(image))
        if faithful and self.dino is not None:  # only edits are held against a picture
            self.dino_images.add(key, lambda: self.dino.prepare(image))
        return key

    def answer(self, sample: Sample, asked: Asked) -> dict[Name, Outcome]:
        """Outcomes of an edit that was asked about, by metric and what it is held against."""
        held = (("source", asked.source), ("target", asked.target if sample.count else None))
        others = {against: other for against, other in held if other is not None}
        found: dict[Name, Outcome] = {}
        if self.clip is not None:
            found |= self._clip(sample, asked, others)
        if self.dino is not None:
            for against, other in others.items():
                found["dino", against] = outcome.of(cosine(self.dino_images[asked.edit], self.dino_images[other]))
        return {(f"{metric}{self.suffix}", against): result for (metric, against), result in found.items()}

    def _clip(self, sample: Sample, asked: Asked, others: dict[str, str]) -> dict[Name, Outcome]:
        """CLIP-T, CLIP-I and CLIP-Dir of an edit."""
        words, edit = captions(sample), self.clip_images[asked.edit]
        found = {("clip_t", against): self._clip_t(edit, words.get(against)) for against in against_text(sample)}
        for against, other in others.items():
            found["clip_i", against] = outcome.of(cosine(edit, self.clip_images[other]))
        if asked.source is not None:
            found["clip_dir", "source"] = self._clip_dir(self.clip_images[asked.source], edit, words)
        return found

    def _clip_t(self, edit, caption: str | None) -> Outcome:
        return outcome.of(cosine(edit, self.clip_texts[caption])) if caption else outcome.of(None, "no caption")

    def _clip_dir(self, source, edit, words: dict[str, str]) -> Outcome:
        before, after = words.get("source_caption"), words.get("global_caption")
        if not before or not after:
            return outcome.of(None, "no caption")
        if before.split() == after.split():
            return outcome.of(None, "identical captions")
        return outcome.of(*direction(source, edit, self.clip_texts[before], self.clip_texts[after]))


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


def against_text(sample: Sample) -> list[str]:
    """What CLIP-T is held against: always the global caption, the local one where the sample has one."""
    return ["global_caption"] + ["local_caption"] * ("local_caption" in captions(sample))
