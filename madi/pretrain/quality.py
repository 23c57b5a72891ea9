"""How well a base draws in the small world: held-out edits by task, GenEval's prompts by tag, and a sheet to look at.

Shapes: B samples, C latent channels, h x w latent pixels; pictures are uint8 [H,W,3].
Scores are the oracle's (`madi.scenes.truth`), each 0..10: instruction following, identity preservation, perceptual
quality. An edit is clean where all three are at least `CLEAN`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy as np
import torch

from madi.images import contact_sheet
from madi.model.checkpoint import Weights
from madi.model.sampler import Sampler, noise_for
from madi.scenes import samples, words
from madi.scenes.kinds import Item
from madi.scenes.parse import Reading, read
from madi.scenes.render import render
from madi.scenes.truth import Verdict, judge
from madi.scenes.wants import wanted
from madi.score import detect, geneval

CLEAN = 9.0
BATCH = 8
SHOWN = 24  # rows of the sheet


def reworded(item: Item, register: str) -> Item:
    """The item with its instruction in a register, "base" or "tune"."""
    rng = Random(f"{item.item_id} {register}")
    return replace(item, instruction=words.instruct(item.sources[0], item.ops[0], rng, register))


@torch.no_grad()
def sample(weights: Weights, items: Sequence[Item], settings: dict) -> list[np.ndarray]:
    """One picture an item, without pauses, at seed 0. settings: size_px, steps, guidance, image_guidance."""
    packed, was_training = weights.packed.eval(), weights.packed.training
    sampler = Sampler(packed, settings["steps"], settings["guidance"], settings["image_guidance"])
    size_px, made = settings["size_px"], []
    side = size_px // weights.codec.scale
    for part in (items[k : k + BATCH] for k in range(0, len(items), BATCH)):
        pictures = [[render(scene, size_px) for scene in item.sources] for item in part]
        latents = [list(weights.codec.encode(np.stack(of))) if of else [] for of in pictures]
        branches = [weights.tokens.branches(item.instruction, z) for item, z in zip(part, latents, strict=True)]
        noise = [noise_for(0, item.item_id, (weights.codec.channels, side, side)) for item in part]
        made += list(weights.codec.decode(sampler(branches, torch.stack(noise))))
    packed.train(was_training)
    return made


def edits(weights: Weights, settings: dict, count: int, seed: int, register: str = "tune", sheet: Path | None = None):
    """Quality of `count` held-out edits, by task and under "all": n, if, idp, pq (means), clean (a share); and under
    "untouched" how many things no op touched, and which share of them was redrawn beyond recognition."""
    items = list(samples.items("edit", "validation", count, seed))
    items = items if register == "tune" else [reworded(item, register) for item in items]
    made = sample(weights, items, settings)
    verdicts = [judge(item.sources, item.ops, image) for item, image in zip(items, made, strict=True)]
    if sheet is not None:
        write_sheet(sheet, items, made, settings["size_px"])
    return summary(items, verdicts)


def summary(items: Sequence[Item], verdicts: Sequence[Verdict]) -> dict:
    """The table that `edits` returns."""
    rows = defaultdict(list)
    for item, verdict in zip(items, verdicts, strict=True):
        scores = (verdict.instruction_following, verdict.identity_preservation, verdict.perceptual_quality)
        for key in (item.task, "all"):
            rows[key].append((*scores, min(scores) >= CLEAN))
    table = {}
    for key, of in sorted(rows.items()):
        means = np.mean(np.array(of, float), 0)
        table[key] = {
            "n": len(of),
            **{name: round(float(v), 3) for name, v in zip(("if", "idp", "pq", "clean"), means)},
        }
    lost = [lost for item, v in zip(items, verdicts, strict=True) for lost in unrecognisable(item, v.reading)]
    return table | {"untouched": {"n": len(lost), "unrecognisable": round(float(np.mean(lost)), 4) if lost else 0.0}}


def unrecognisable(item: Item, reading: Reading) -> list[bool]:
    """For each thing of the source that no op touches, whether neither its shape nor its colour is there any more."""
    touched = wanted(item.sources[0], item.ops).cells
    left = [thing for thing in item.sources[0].things if thing.cell not in touched]
    after = [reading.scene.at(thing.cell) if reading.scene else None for thing in left]
    return [now is None or (now.shape != thing.shape and now.colour != thing.colour) for thing, now in zip(left, after)]


def text_to_image(weights: Weights, settings: dict, count: int, seed: int) -> dict:
    """Share of `count` held-out GenEval prompts that are right, by tag, and "overall", the mean over tags."""
    items = list(samples.items("geneval", "validation", count, seed))
    right = defaultdict(list)
    for item, image in zip(items, sample(weights, items, settings), strict=True):
        objects = detect.detections(read(image).scene, image.shape[0])
        right[item.task].append(geneval.evaluate(item.geneval, geneval.keep(objects, item.task))[0])
    shares = {tag: round(float(np.mean(of)), 4) for tag, of in sorted(right.items())}
    return shares | {"overall": round(float(np.mean(list(shares.values()))), 4), "n": len(items)}


def write_sheet(path: Path, items: Sequence[Item], made: Sequence[np.ndarray], size_px: int) -> None:
    """The first items in rows of source, edit and one right target, under their instructions."""
    shown = list(zip(items, made, strict=True))[:SHOWN]
    rows = [[render(item.sources[0], size_px), image, render(item.target, size_px)] for item, image in shown]
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "PNG" if path.suffix.lower() == ".png" else "JPEG"
    path.write_bytes(
        contact_sheet(rows, [item.instruction for item, _ in shown], ("source", "edit", "right"), form=form)
    )
