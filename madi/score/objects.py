"""Objects in a photograph, for GenEval's rules: Mask2Former of transformers, colours by CLIP.

GenEval runs mmdet 2.27's Mask2Former (Swin-S) and OpenAI's CLIP ViT-L/14. The steps here are that detector's: the
picture resized to 800 px on the short side with at most 1333 px on the long one, padded in grey to multiples of 32, and
masks brought back to the picture's size before they are thresholded. The hub's `preprocessor_config.json` asks for
384 x 384 instead; its size is not used. The weights are any instance segmenter of that class in a folder, so numbers
are "GenEval-compatible" and name the weights.

Shapes: an image is uint8 [H,W,3]; a mask bool [H,W]; boxes are (left, top, right, bottom) in px. Q queries, C classes.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from pathlib import Path

import numpy as np

from madi.errors import MadiError
from madi.provenance import file_sha
from madi.score import scorers
from madi.score.classes import named
from madi.score.geneval import CONFIDENCE, Detection
from madi.shards import read_json

COLOURS = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white")
TEMPLATES = ("a photo of a {c} {name}", "a photo of a {c}-colored {name}", "a photo of a {c} object")
GROUND = 0x99  # grey around an object whose colour is asked
SHORT, LONG, MULTIPLE, PADDING = 800, 1333, 32, 128  # px, px, px, grey: mmdet's test pipeline of this detector
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
MOST = 100  # detections of a picture, before the threshold: mmdet's max_per_image


class Mask2Former:
    """The segmenter in a folder (config.json, model.safetensors, perhaps preprocessor_config.json).

    clip: a `madi.score.clip.Clip` for colours, or None: then no detection has a colour. `name`: the weights, the input
    size and the colour model. Errors: MadiError for a folder that holds no such model, or a device that is not there.
    """

    def __init__(self, folder: Path | str, clip=None, device: str = "cpu"):
        from transformers import Mask2FormerForUniversalSegmentation

        self.device = scorers.device(device)
        options = {"local_files_only": True, "use_safetensors": True, "trust_remote_code": False}
        try:
            model = Mask2FormerForUniversalSegmentation.from_pretrained(folder, **options)
        except (OSError, ValueError) as fault:
            reason = " ".join(str(fault).split())[:160]
            raise MadiError(f"no Mask2Former ({reason})", folder, "a folder that transformers loads") from None
        self.model = model.to(self.device).eval()
        self.names = {number: named(label) for number, label in model.config.id2label.items()}
        path = Path(folder, "preprocessor_config.json")
        told = read_json(path) if path.is_file() else {}
        self.mean, self.std = told.get("image_mean", MEAN), told.get("image_std", STD)
        weights = file_sha(Path(folder, "model.safetensors"))[:8]
        self.name = f"mask2former@{weights} short={SHORT} long={LONG} colours={clip.name if clip else 'none'}"
        self.colour_of = by_clip(clip) if clip else None

    def objects(self, image: np.ndarray, coloured: Container[str] = ()) -> dict[str, list[Detection]]:
        """Objects surer than 0.3, by class. coloured: the classes whose colours are asked; the others have ""."""
        found: dict[str, list[Detection]] = {}
        for label, confidence, mask in self._instances(image):
            name = self.names[label]
            colour = self.colour_of(image, mask, name) if self.colour_of and name in coloured else ""
            found.setdefault(name, []).append(Detection(box_of(mask), colour, confidence))
        return found

    def _instances(self, image: np.ndarray) -> list[tuple[int, float, np.ndarray]]:
        """(class, confidence, mask) of what is surer than 0.3 and not empty.

        A detection is a query with a class, as in mmdet: its confidence is the class's probability times the mean
        probability of its mask's pixels."""
        import torch

        pixels, (height, width) = self._input(image)
        with torch.inference_mode(), scorers.exact():
            outputs = self.model(pixel_values=pixels)
            probabilities_QC = outputs.class_queries_logits[0].softmax(-1)[:, :-1]
            scores, places = probabilities_QC.flatten().topk(min(MOST, probabilities_QC.numel()))
            sure = scores > CONFIDENCE  # the mask's factor is at most 1
            scores, places = scores[sure], places[sure]
            classes = probabilities_QC.shape[1]
            logits_NHW = outputs.masks_queries_logits[0][places // classes]
            if not len(places):
                return []
            logits_NHW = sized(logits_NHW, *pixels.shape[-2:])[:, :height, :width]
            logits_NHW = sized(logits_NHW, *image.shape[:2])
            masks_NHW = logits_NHW > 0
            areas_N = masks_NHW.flatten(1).sum(1)
            sums_N = (logits_NHW.sigmoid() * masks_NHW).flatten(1).sum(1)
            scores = (scores * sums_N / (areas_N + 1e-6)).tolist()
            masks = masks_NHW.cpu().numpy()
        labels = (places % classes).tolist()
        return [(*one, mask) for *one, mask in zip(labels, scores, masks) if one[1] > CONFIDENCE and mask.any()]

    def _input(self, image: np.ndarray):
        """(tensor [1,3,h,w], its size before padding): resized without smoothing, as OpenCV's bilinear does."""
        import torch

        pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)
        height, width = input_size(*image.shape[:2])
        padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
        pixels = torch.nn.functional.pad(sized(pixels, height, width).round(), padding, value=PADDING) / 255
        pixels = (pixels - torch.tensor(self.mean)[:, None, None]) / torch.tensor(self.std)[:, None, None]
        return pixels[None].to(self.device), (height, width)


def input_size(height: int, width: int) -> tuple[int, int]:
    """(height, width) px of what the detector sees: 800 on the short side, unless the long one were over 1333."""
    scale = min(LONG / max(height, width), SHORT / min(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def sized(maps, height: int, width: int):
    """Tensor [N,h,w] at another size, bilinear."""
    from torch.nn.functional import interpolate

    return interpolate(maps[:, None], (height, width), mode="bilinear", align_corners=False)[:, 0]


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
