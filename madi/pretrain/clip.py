"""The small CLIP: `open_clip`'s own model, trained on scenes and captions, both pictures of an edit in one batch.

Shapes: B edits, N = 2B pictures (sources, then targets) with N captions and N near captions (one op away).
Beside the contrastive loss a reader (reader.py) must tell the scene from either tower's embedding.
"""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from safetensors.torch import save_file

from madi.omnigen.tokenizer import of_stock
from madi.pretrain.loop import autocast, train
from madi.pretrain.reader import WIDTHS, labels, reading
from madi.pretrain.settings import ClipSettings, Settings, checkpoint
from madi.pretrain.vae import signed
from madi.scenes import words
from madi.scenes.edits import OPS, apply, draw
from madi.scenes.kinds import Item
from madi.scenes.render import render
from madi.scenes.samples import items
from madi.scenes.splits import until
from madi.scenes.world import COLOURS, LETTERS, SHAPES, SIZES, Scene

SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
KINDS = [op for group in OPS.values() for op in group]


def tokenizer(settings: ClipSettings):
    """One token a word of the captions' closed vocabulary, with start and end."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    vocabulary = [*SPECIAL, ",", "a", "an", "and", "on", "with", "the", "letter", "nothing"]
    vocabulary += [*words.vocabulary(), *SHAPES, *COLOURS, *SIZES, *LETTERS]
    ids = {word: k for k, word in enumerate(dict.fromkeys(vocabulary))}
    made = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    ends = [("<s>", ids["<s>"]), ("</s>", ids["</s>"])]
    made.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    names = {"pad_token": "<pad>", "unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=settings.context, **names)


def build(settings: ClipSettings, vocabulary: int) -> tuple[torch.nn.Module, dict]:
    """(an untrained open_clip model, its configuration)."""
    from open_clip import CLIP

    text = {"vocab_size": vocabulary, "context_length": settings.context, "hf_tokenizer_name": "tokenizer"}
    text |= {"pool_type": "eos", "eos_id": SPECIAL.index("</s>"), "pad_id": SPECIAL.index("<pad>")}
    config = dict(settings.model) | {"text_cfg": dict(settings.model["text_cfg"]) | text}
    return CLIP(**config), config


def near(scene: Scene, rng: Random, split: str, taken: set[str]) -> Scene:
    """A scene one op away, of the split too and with a caption that is not in `taken`.

    A negative is read as much as a true caption is: one of another split would show the benchmarks' scenes, and pairs
    of shape and colour that are theirs alone. (Pairs of ops held out for them are in no caption.)
    """

    def make():
        op = draw(scene, rng.choice(KINDS), rng)
        if op is None:
            return None
        other = apply(scene, op, rng)
        return None if words.caption(other) in taken else (other, None)

    return until(make, split)[0]


def drawn(n: int, split: str, seed: int) -> list[Item]:
    """`n` edits of a split."""
    return list(items("edit", split, n, seed))


def batch(n: int, split: str, seed: int, rng: Random) -> tuple[list[Scene], list[Scene]]:
    """(sources, then targets, of `n` edits of a split; a near scene of each, with no caption that is true of any)."""
    edits = drawn(n, split, seed)
    scenes = [item.sources[0] for item in edits] + [item.target for item in edits]
    taken = {words.caption(scene) for scene in scenes}
    return scenes, [near(scene, rng, split, taken) for scene in scenes]


def contrast(pictures: torch.Tensor, captions: torch.Tensor, close: torch.Tensor, scale) -> torch.Tensor:
    """InfoNCE both ways; the near captions are further negatives of the pictures. All [N,D], rows of length 1."""
    truth = torch.arange(len(pictures))
    rows = scale * pictures @ torch.cat([captions, close]).T
    return (F.cross_entropy(rows, truth) + F.cross_entropy(rows[:, : len(captions)].T, truth)) / 2


class Towers(torch.nn.Module):
    """The model and the reader that is thrown away."""

    def __init__(self, model: torch.nn.Module, width: int):
        super().__init__()
        self.model, self.reader = model, torch.nn.Linear(width, sum(WIDTHS))


def fit(settings: Settings, out: Path, state: Path) -> dict:
    """Train, save the averaged weights as an open_clip folder under `out`; returns held-out quality."""
    own = settings.clip
    torch.manual_seed(own.train.seed)
    tokens = tokenizer(own)
    model, config = build(own, len(tokens))
    towers = Towers(model, own.model["embed_dim"])

    def ids(texts: list[str]) -> torch.Tensor:
        padded = tokens(texts, padding="max_length", truncation=True, max_length=own.context, return_tensors="pt")
        return padded.input_ids

    def loss_of(step: int) -> tuple[torch.Tensor, dict]:
        scenes, others = batch(own.train.batch, "base", 10_000_000 + step, Random(step))
        pictures = signed(augmented([render(scene, own.size_px) for scene in scenes], step))
        texts = [words.caption(scene) for scene in (*scenes, *others)]
        with autocast(own.train.precision):
            seen = model.encode_image(pictures).float()
            read = model.encode_text(ids(texts)).float()
            answers = towers.reader(torch.cat([seen, read[: len(scenes)]]))
        told = reading(answers, labels(scenes).repeat(2, 1))
        seen, read = F.normalize(seen, dim=-1), F.normalize(read, dim=-1)
        match = contrast(seen, read[: len(scenes)], read[len(scenes) :], model.logit_scale.exp().clamp(max=100))
        right = (seen @ read.T).argmax(1) == torch.arange(len(scenes))
        notes = {"match": match.item(), "told": told.item(), "right": right.float().mean().item()}
        return match + own.reader * told, notes

    train(towers, loss_of, own.train, checkpoint(state, settings, "clip")).swap()
    save(model, config, tokens, own, out)
    return quality(out, settings)


def augmented(images: list[np.ndarray], step: int) -> np.ndarray:
    """Pictures with the small errors of an autoencoder: a little noise, and a little blur on half of them."""
    rng = np.random.default_rng(step)
    blurred = [
        np.asarray(Image.fromarray(image).filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.0))))
        if rng.random() < 0.5
        else image
        for image in images
    ]
    stack = np.stack(blurred).astype(np.float32)
    return (stack + rng.normal(0, 4, stack.shape)).clip(0, 255).astype(np.uint8)


def save(model: torch.nn.Module, config: dict, tokens, settings: ClipSettings, out: Path) -> None:
    """Write the folder that `madi.score.clip` describes."""
    out.mkdir(parents=True, exist_ok=True)
    of_stock(tokens).save_pretrained(out)
    look = {"size": settings.size_px, "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic"}
    whole = {"model_cfg": config, "preprocess_cfg": look | {"resize_mode": "shortest"}}
    (out / "open_clip_config.json").write_text(json.dumps(whole, indent=1) + "\n")
    weights = {name: value.contiguous().clone() for name, value in model.state_dict().items()}
    save_file(weights, out / "open_clip_model.safetensors", metadata={"format": "pt"})


@torch.no_grad()
def quality(folder: Path, settings: Settings, n: int = 800, split: str = "validation") -> dict:
    """Held-out: the right caption among 16 (8 of the others one op away), and the sign of CLIP-Dir by task."""
    import open_clip

    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{folder}", precision="fp32")
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    edits, rng = drawn(n, split, 1), Random(1)
    sources, targets = [item.sources[0] for item in edits], [item.target for item in edits]

    def seen(scenes):
        pixels = signed(np.stack([render(scene, settings.clip.size_px) for scene in scenes]))
        return torch.cat([model.encode_image(part, normalize=True) for part in pixels.split(64)])

    def read(texts):
        return torch.cat([model.encode_text(part, normalize=True) for part in tokens(texts).split(256)])

    s, t = seen(sources), seen(targets)
    cs, ct = read([words.caption(x) for x in sources]), read([words.caption(x) for x in targets])
    right = 0
    for k, scene in enumerate(targets):
        far = ct[[(k + 1 + j) % n for j in rng.sample(range(n - 1), 7)]]
        close = [words.caption(near(scene, rng, split, {words.caption(scene)})) for _ in range(8)]
        choices = torch.cat([ct[k : k + 1], read(close), far])
        right += int((choices @ t[k]).argmax() == 0)
    sign = ((t - s) * (ct - cs)).sum(1) > 0
    tasks = {task: [k for k, item in enumerate(edits) if item.task == task] for task in {e.task for e in edits}}
    by_task = {task: float(sign[rows].float().mean()) for task, rows in sorted(tasks.items())}
    return {
        "caption_among_16": right / n,
        "clip_dir_sign": float(sign.float().mean()),
        "clip_dir_sign_by_task": by_task,
    }
