"""Objects in a photograph, for GenEval's rules: Mask2Former of transformers, colours by CLIP, as officially.

The official one runs mmdet 2.27's Mask2Former (Swin-S) and OpenAI's CLIP ViT-L/14. Here the detector is any instance
segmenter of that class in a folder, so that numbers are "GenEval-compatible" and say with which weights they were made.
Shapes: an image is uint8 [H,W,3]; a mask bool [H,W]; boxes are (left, top, right, bottom) in px.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from madi.errors import MadiError
from madi.provenance import file_sha
from madi.score.geneval import CONFIDENCE, Detection

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TEMPLATES = ("a photo of a {c} {name}", "a photo of a {c}-colored {name}", "a photo of a {c} object")
GROUND = 0x99  # grey around an object whose colour is asked
# Names of GenEval's prompts where COCO's, which detectors are taught, are others.
ALIAS = {"mouse": "computer mouse", "remote": "tv remote", "keyboard": "computer keyboard"}


class Mask2Former:
    """The segmenter in a folder (config.json, preprocessor_config.json, model.safetensors) and a CLIP for colours.

    clip: a `madi.score.clip.Clip`. Errors: MadiError for a folder that holds no such model.
    """

    def __init__(self, folder: Path | str, clip, device: str = "cpu"):
        import torch
        from transformers import AutoImageProcessor, Mask2FormerForUniversalSegmentation

        options = {"local_files_only": True}
        try:
            self.processor = AutoImageProcessor.from_pretrained(folder, **options)
            model = Mask2FormerForUniversalSegmentation.from_pretrained(folder, use_safetensors=True, **options)
        except (OSError, ValueError) as fault:
            reason = " ".join(str(fault).split())[:160]
            raise MadiError(f"no Mask2Former ({reason})", folder, "a folder that transformers loads") from None
        self.model, self.torch = model.to(device).eval(), torch
        labels = model.config.id2label
        self.names = {number: ALIAS.get(name, name) for number, name in labels.items()}
        self.name = f"mask2former@{file_sha(Path(folder, 'model.safetensors'))[:8]}"
        self.colour_of = by_clip(clip)

    def objects(self, image: np.ndarray) -> dict[str, list[Detection]]:
        """All objects surer than 0.3, by class."""
        inputs = self.processor(images=image, return_tensors="pt").to(self.model.device)
        with self.torch.inference_mode():
            outputs = self.model(**inputs)
        [found] = self.processor.post_process_instance_segmentation(
            outputs, threshold=CONFIDENCE, target_sizes=[image.shape[:2]], return_binary_maps=True
        )
        objects: dict[str, list[Detection]] = {}
        for info, mask in zip(found["segments_info"], found["segmentation"]):  # none: the latter is one empty map
            mask = mask.cpu().numpy() > 0
            if mask.any():
                name = self.names[info["label_id"]]
                colour = self.colour_of(image, mask, name)
                objects.setdefault(name, []).append(Detection(box_of(mask), colour, float(info["score"])))
        return objects


def box_of(mask: np.ndarray) -> tuple[float, float, float, float]:
    """The box around a mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)


def cut_out(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An object on grey, cropped to its box: what the official evaluator asks CLIP about."""
    left, top, right, bottom = map(int, box_of(mask))
    return np.where(mask[..., None], image, GROUND).astype(np.uint8)[top:bottom, left:right]


def by_clip(clip) -> Callable[[np.ndarray, np.ndarray, str], str]:
    """The colour of an object by zero-shot classification: the nearest of ten mean embeddings of three sentences."""
    known: dict[str, np.ndarray] = {}

    def colour_of(image: np.ndarray, mask: np.ndarray, name: str) -> str:
        if name not in known:
            rows = []
            for colour in COLOURS:
                mean = clip.texts([words.format(c=colour, name=name) for words in TEMPLATES]).mean(0)
                rows.append(mean / np.linalg.norm(mean))
            known[name] = np.stack(rows)
        [embedded] = clip.images([clip.prepare(cut_out(image, mask))])
        return COLOURS[int((known[name] @ embedded).argmax())]

    return colour_of
