"""What decides GenEval's rule: the scene parser, a detector for photographs, or results of the official evaluator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from madi.config import ScoreSlice
from madi.errors import MadiError
from madi.provenance import file_sha
from madi.samples import Sample
from madi.score import classes, detect, geneval, outcome, scorers
from madi.score.outcome import Outcome
from madi.score.pictures import Seen


class Parser:
    """Reads a picture of the small world; decides nothing about any other."""

    name = "parser"

    def decide(self, sample: Sample, edit: dict, image: np.ndarray) -> Outcome:
        from madi.scenes.parse import read

        if not sample.of_scenes:
            return outcome.missing("no detector is named (--detector DIR, or score.geneval in a config)")
        return by_rule(sample.spec()["geneval"], detect.detections(read(image).scene, image.shape[0]))


class Detector:
    """Asks a detector, such as `madi.score.objects.Mask2Former`. colours: whether it can tell them."""

    def __init__(self, detector, colours: bool = True):
        self.detector, self.name, self.colours = detector, detector.name, colours

    def decide(self, sample: Sample, edit: dict, image: np.ndarray) -> Outcome:
        rule = sample.spec()["geneval"]
        coloured = {clause["class"] for clause in rule.get("include", []) if "color" in clause}
        if coloured and not self.colours:
            return outcome.missing("no CLIP for colours is named (--colours DIR, or score.geneval.colours in a config)")
        return by_rule(rule, self.detector.objects(image, coloured))


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


class GenEval:
    """GenEval's one number, by a parser, a detector or a results file."""

    kind, lacks, suffix = "geneval", None, ""

    def __init__(self, rule):
        self.rule = rule

    def backend(self, metric) -> str:
        return self.rule.name

    def wants(self, metric, edit: dict, sample: Sample) -> bool:
        return sample.count == 0 and "geneval" in sample.spec()

    def measure(self, name: str, seen: Seen) -> Outcome:
        return self.rule.decide(seen.sample, seen.edit, seen.made.pixels)


def of(job: ScoreSlice, clip, samples: Sequence[Sample]) -> GenEval:
    """The scorer of GenEval's rule in a job.

    clip: the job's own `Embedder` (or what stands for none), which also decides colours where no other CLIP is named,
    unless it knows the small world alone. samples: all text-to-image samples of the job.

    Errors: MadiError for a class in a prompt that the detector does not know, before any picture is scored.
    """
    asked = job.geneval
    rules = [sample for sample in samples if "geneval" in sample.spec()]
    if asked.detector == "results":
        return GenEval(Results(Path(asked.results)))
    if asked.detector == "parser" or not rules:
        return GenEval(Parser())
    hold_classes(rules, asked.model)
    from madi.score.clip import Clip
    from madi.score.objects import Mask2Former

    device = asked.device or job.device
    own = None if scorers.of_small_world(job.clip) else getattr(clip, "tower", None)
    colours = Clip(asked.colours, device) if asked.colours else own
    return GenEval(Detector(Mask2Former(asked.model, colours, device), colours is not None))


def hold_classes(rules: Sequence[Sample], folder: str) -> None:
    """Errors: MadiError naming the first prompt with a class that the detector in `folder` does not know."""
    known = set(classes.labels(folder).values())
    for sample in rules:
        if lost := classes.unknown(classes.of_rule(sample.spec()["geneval"]), known):
            do = "name a detector of COCO's 80 classes"
            where = f"{sample.file} row {sample.number} column spec"
            raise MadiError(f"the detector in {folder} knows no {lost[0]}", where, "one of its classes", do)
