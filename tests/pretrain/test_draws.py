"""What the trainers draw: scenes of the base's share alone, no negative that is true, drops and slips as configured."""

import json
import zlib
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch

from madi.model.prompt import Tokens
from madi.omnigen.tokenizer import load as load_tokenizer
from madi.pretrain import clip, mix, tokenizer, vae, vit
from madi.pretrain.settings import read
from madi.scenes import samples
from madi.scenes.render import render
from madi.scenes.splits import split_of
from madi.scenes.words import caption

ROOT = Path(__file__).parents[2]
SETTINGS = read(ROOT / "config/pretrain.yaml")
TRAINERS = {"vae": (vae, vae.fit), "decoder": (vae, vae.fit_decoder), "vit": (vit, vit.fit), "clip": (clip, clip.fit)}


class Enough(Exception):
    """Two steps were drawn."""


def few(name):
    """The settings with 8 samples a batch of a training."""
    part, phase = ("vae", "decoder") if name == "decoder" else (name, "train")
    own = getattr(SETTINGS, part)
    steps = getattr(own, phase).model_copy(update={"batch": 8})
    return SETTINGS.model_copy(update={part: own.model_copy(update={phase: steps})})


@pytest.mark.parametrize("name", TRAINERS)
def test_a_training_is_shown_scenes_of_the_base_alone(name, monkeypatch, tmp_path):
    module, fit = TRAINERS[name]
    shown = []

    def note(where, part, scenes_of):
        real = getattr(where, part)

        def noted(*args):
            made = real(*args)
            shown.extend(scenes_of(args, made))
            return made

        monkeypatch.setattr(where, part, noted)

    def two_steps(trained, loss_of, *_):
        assert all(loss_of(step)[0].isfinite() for step in (0, 1))
        raise Enough

    note(vae, "scenes", lambda args, made: made)
    note(clip, "render", lambda args, made: args[:1])
    note(clip, "near", lambda args, made: [made])
    monkeypatch.setattr(module, "train", two_steps)
    with pytest.raises(Enough):
        fit(few(name), ROOT / "assets/tiny/omnigen/vae", tmp_path)
    assert len(shown) == (64 if name == "clip" else 16)
    assert {split_of(scene) for scene in shown} == {"base"}


def test_the_bases_mix_holds_scenes_of_the_base_alone():
    rng = Random(0)
    found = [mix.draw(SETTINGS.base, index, rng) for index in range(200)]
    assert {item.kind for item in found} >= {"edit", "compound", "session", "multi", "t2i"}
    scenes = [scene for item in found for scene in (*item.sources, item.target, *item.scenes)]
    assert {split_of(scene) for scene in scenes} == {"base"}


@pytest.mark.parametrize("split", ["base", "validation"])
def test_no_near_caption_is_a_true_one_or_of_another_split(split):
    scenes, others = clip.batch(48, split, 0, Random(0))
    assert {split_of(other) for other in others} == {split}
    assert not {caption(scene) for scene in scenes} & {caption(other) for other in others}
    for scene, other in zip(scenes, others, strict=True):
        cells = sum(scene.at(cell) != other.at(cell) for cell in range(9))
        looks = sum(getattr(scene, look) != getattr(other, look) for look in ("background", "style", "light"))
        assert cells + looks == 1 and scene.variant == other.variant


def test_quality_asks_with_captions_of_the_split_that_it_measures(monkeypatch):
    asked, real = [], clip.near

    def noted(scene, rng, split, taken):
        asked.append((scene, real(scene, rng, split, taken)))
        return asked[-1][1]

    monkeypatch.setattr(clip, "near", noted)
    clip.quality(ROOT / "assets/tiny/clip", SETTINGS, n=8)
    assert len(asked) == 64 and {split_of(scene) for pair in asked for scene in pair} == {"validation"}
    assert all(caption(scene) != caption(other) for scene, other in asked)


def number(picture):
    """A picture's own number, exact in float32."""
    return zlib.crc32(picture.tobytes()) % 2**24


class Numbers:
    """A codec whose latents are all a picture's number."""

    def encode(self, pictures):
        numbers = torch.tensor([number(picture) for picture in pictures], dtype=torch.float32)
        return numbers[:, None, None, None].repeat(1, 8, 16, 16)


@pytest.fixture(scope="module")
def blocks():
    from transformers import PreTrainedTokenizerFast

    tokens = Tokens(PreTrainedTokenizerFast.from_pretrained(ROOT / "assets/tiny/omnigen/tokenizer"))
    return mix.Blocks(SETTINGS.base, tokens, Numbers(), SETTINGS.size_px, 4)


def uses_of(blocks):
    """All uses in some blocks: (ids, slots, number of the target, whether the item has a source)."""
    found = [one for block in blocks for _, batch in block for one in batch]
    return [(one[0], one[1], one[3].flat[0], one[4].flat[0] != one[3].flat[0]) for one in found]


def test_a_block_is_the_same_whatever_was_drawn_before(blocks):
    first = [uses_of([blocks[k]]) for k in (2, 3)]
    assert uses_of([blocks[3]]) == first[1] != first[0]


def test_drops_and_slips_have_their_shares_in_the_batches(blocks, monkeypatch):
    own, tokens, slips, real = blocks.own, blocks.tokens, set(), samples.loose

    def noted(item, rng):
        slack = real(item, rng)
        slips.add(number(render(slack.target, SETTINGS.size_px)))
        return slack

    monkeypatch.setattr(samples, "loose", noted)
    uses = uses_of(blocks[k] for k in range(4))
    image = torch.zeros(8, 16, 16)
    wordless = [tokens.prompt("", [image] * count).ids for count in (1, 2)]
    kinds = Counter()
    for ids, slots, target, edit in uses:
        kinds["edit"] += edit
        kinds["slip"] += edit and target in slips
        kinds["dropped"] += ids == tokens.dropped().ids
        kinds["negative"] += ids == tokens.negative().ids
        kinds["wordless"] += ids in wordless
        assert bool(slots) == (edit and ids not in (tokens.dropped().ids, tokens.negative().ids))
    assert (own.drop_all, own.drop_text, own.loose) == (0.10, 0.05, 0.30)
    for kind in ("dropped", "negative"):
        assert kinds[kind] / len(uses) == pytest.approx(own.drop_all / 2, abs=0.012)
    assert kinds["wordless"] / kinds["edit"] == pytest.approx(own.drop_text, abs=0.012)
    assert kinds["slip"] / kinds["edit"] == pytest.approx(own.loose, abs=0.05)
    assert kinds["edit"] / len(uses) == pytest.approx(1 - own.mix["t2i"], abs=0.05)


def test_tokenizers_are_saved_as_every_transformers_reads_them(tmp_path):
    small = SETTINGS.model_copy(update={"tokenizer": SETTINGS.tokenizer.model_copy(update={"scenes": 20})})
    tokenizer.fit(small, tmp_path / "words")
    made = tokenizer.build(small)
    kept = load_tokenizer(tmp_path / "words")
    config = json.loads((tmp_path / "words" / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast"
    text = "<|user|>\nmake the red circle blue<|end|>\n<|diffusion|>"
    assert kept(text).input_ids == made(text).input_ids
