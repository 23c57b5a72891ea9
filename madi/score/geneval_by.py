"""Who decides GenEval's rule: the scene parser, a detector for photographs, or results of the official evaluator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from madi.config import ScoreSlice
from madi.errors import MadiError
from madi.provenance import file_sha
from madi.samples import Sample
from madi.score import detect, geneval, outcome
from madi.score.outcome import Outcome


class Parser:
    """Reads a picture of the scene world."""

    name = "parser"

    def decide(self, sample: Sample, edit: dict, image: np.ndarray) -> Outcome:
        from madi.scenes.parse import read

        return by_rule(sample.spec()["geneval"], detect.detections(read(image).scene, image.shape[0]))


class Detector:
    """Asks a detector, such as `madi.score.objects.Mask2Former`."""

    def __init__(self, detector):
        self.detector, self.name = detector, detector.name

    def decide(self, sample: Sample, edit: dict, image: np.ndarray) -> Outcome:
        rule = sample.spec()["geneval"]
        asked = {clause["class"] for part in ("include", "exclude") for clause in rule.get(part, [])}
        if unknown := sorted(asked - set(self.detector.names.values())):
            return outcome.missing(f"the detector knows no {unknown[0]}")
        return by_rule(rule, self.detector.objects(image))


class Results:
    """An official `results.jsonl`, a line an image: `filename` ends in <prompt>/samples/<seed>.png, and `correct`.

    Lines of other images are passed over. Errors: MadiError naming a line that is none, or an image's second.
    """

    def __init__(self, path: Path):
        self.name = f"{path.name}@{file_sha(path)[:8]}"
        self.found: dict[tuple[int, int], tuple[bool, str]] = {}
        for number, line in enumerate(path.read_bytes().splitlines(), 1):  # one in other letters is told by its number
            try:
                told = json.loads(line)
                parts = Path(told["filename"]).parts
                key = int(parts[-3]), int(Path(parts[-1]).stem)
                if not isinstance(told["correct"], bool):
                    raise TypeError(f"correct is {told['correct']!r}")
            except (ValueError, KeyError, IndexError, TypeError) as fault:
                what = f"no result of an image ({type(fault).__name__}: {fault})"
                raise MadiError(what, f"{path} line {number}", '"filename" and "correct"') from None
            if key in self.found:
                what = f"a second line of {key[0]:05}/samples/{key[1]:04}.png"
                raise MadiError(what, f"{path} line {number}", "one line an image")
            self.found[key] = told["correct"], str(told.get("reason") or "")

    def decide(self, sample: Sample, edit: dict, image: np.ndarray) -> Outcome:
        key = sample.row["origin"]["row"], edit["seed"]
        if key not in self.found:
            return outcome.missing(f"no line of {key[0]:05}/samples/{key[1]:04}.png")
        correct, reason = self.found[key]
        return outcome.of(float(correct), reason or None)


def by_rule(rule: dict, objects: dict) -> Outcome:
    """The official decision over objects."""
    correct, reason = geneval.evaluate(rule, geneval.keep(objects, rule["tag"]))
    return outcome.of(float(correct), reason or None)


def of(job: ScoreSlice, clip):
    """Who decides in a score job. clip: the job's own, for colours where no other is named."""
    asked = job.geneval
    if asked.detector == "parser":
        return Parser()
    if asked.detector == "results":
        return Results(Path(asked.results))
    from madi.score.clip import Clip
    from madi.score.objects import Mask2Former

    return Detector(Mask2Former(asked.model, Clip(asked.colours) if asked.colours else clip, asked.device))
